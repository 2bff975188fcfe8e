import tseslint from 'typescript-eslint';

const onlyIn = (name, folder) => ({ name, message: `Only ${folder} may import ${name}.` });

const everywhere = [
  onlyIn('commander', 'src/cli'),
  onlyIn('chalk', 'src/cli'),
  onlyIn('@inquirer/prompts', 'src/cli'),
  onlyIn('conf', 'src/store'),
  onlyIn('@napi-rs/keyring', 'src/vault'),
  onlyIn('undici', 'src/http'),
  onlyIn('oauth4webapi', 'src/oauth'),
  onlyIn('open', 'src/oauth'),
];

function allow(folder, names) {
  return {
    files: [`src/${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: everywhere.filter(({ name }) => !names.includes(name)),
          patterns: ['readline', 'node:readline'],
        },
      ],
    },
  };
}

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: process.cwd() } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      'no-console': 'error',
      'no-restricted-globals': [
        'error',
        { name: 'fetch', message: 'The network is reached through src/http.' },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': ['error', { paths: everywhere, patterns: ['readline', 'node:readline'] }],
    },
  },
  allow('cli', ['commander', 'chalk', '@inquirer/prompts']),
  allow('store', ['conf']),
  allow('vault', ['@napi-rs/keyring']),
  allow('http', ['undici']),
  allow('oauth', ['oauth4webapi', 'open']),
);
