import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';

/** Builds what is published: dist/ with everything but the keychain binding inside. */
const shared = {
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  minify: true,
  external: ['@napi-rs/keyring'],
  legalComments: 'none',
  outdir: 'dist',
  metafile: true,
  logLevel: 'warning',
};

/**
 * Bundled CommonJS packages ask for Node's modules by `require`, which a module of ours does not have. And
 * commander loads the ones for starting programs, in case a command is a program of its own: gitlink has no
 * such command, and they would cost every start several milliseconds.
 */
const nodeModules = {
  name: 'node-modules-without-require',
  setup({ onLoad }) {
    onLoad({ filter: /node_modules.*\.c?js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const contents = source.replace(/\brequire\((['"])((?:node:)?[\w/]+)\1\)/g, (call, _, name) => {
        if (!isBuiltin(name)) return call;
        return /commander/.test(path) && name === 'node:child_process'
          ? '{}'
          : `globalThis.process.getBuiltinModule('${name}')`;
      });
      return { contents, loader: 'js' };
    });
  },
};

/**
 * esbuild makes a chunk for every set of parts that share a module, a dozen small files for `list`, and Node
 * spends half a millisecond on each. Where every part that is loaded later names the base that is loaded by
 * then anyway, all of the base is one file.
 */
const oneBase = {
  name: 'one-base',
  setup({ onLoad }) {
    const base = resolve('src/process-runtime.ts');
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const contents = laterParts.has(path) ? `${source}\nimport ${JSON.stringify(base)};\n` : source;
      return { contents, loader: 'ts' };
    });
  },
};

/** The files of ours that are imported by `import()`. */
async function findLaterParts() {
  const found = new Set();
  for (const entry of await readdir('src', { recursive: true })) {
    if (!entry.endsWith('.ts')) continue;
    const path = resolve('src', entry);
    for (const [, target] of (await readFile(path, 'utf8')).matchAll(/\bimport\('(\.[^']+)'\)/g)) {
      found.add(resolve(dirname(path), target));
    }
  }
  found.delete(resolve('src/process-runtime.ts'));
  return found;
}

const laterParts = await findLaterParts();
await rm('dist', { recursive: true, force: true });
await mkdir('dist');
/** What git's helper seldom needs stays out of the file that it always loads. */
const apartFromHelper = {
  name: 'apart-from-helper',
  setup({ onResolve }) {
    onResolve({ filter: /[\\/](?:helper-storage|library-items)\.ts$/ }, ({ path }) => ({
      path: `./${basename(path, '.ts')}.cjs`,
      external: true,
    }));
    // Seldom, and as large as a command: it shares the parts of the commands.
    onResolve({ filter: /[\\/]helper-renewal\.ts$/ }, () => ({
      path: './helper-renewal.js',
      external: true,
    }));
  },
};

/**
 * esbuild wraps every module of Node that a module of ours imports in an object of getters, once for each import:
 * a fifth of a millisecond. And of `package.json` the programs need the version alone.
 */
const leanImports = {
  name: 'lean-imports',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const contents = source.replace(
        /^import \{([^}]*)\} from '(node:[\w/]+)';$/gm,
        (_, names, module) => `const {${toBindings(names)}} = process.getBuiltinModule('${module}');`,
      );
      return { contents, loader: 'ts' };
    });
    onLoad({ filter: /[\\/]package\.json$/ }, async ({ path }) => {
      const { version } = JSON.parse(await readFile(path, 'utf8'));
      return { contents: JSON.stringify({ version }), loader: 'json' };
    });
  },
};

/** What is between the braces of an import, as it stands between those of a `const`. */
function toBindings(names) {
  const values = names.split(',').filter((name) => name.trim() !== '' && !/^\s*type\s/.test(name));
  return values.map((name) => name.replace(/\s+as\s+/, ': ')).join(',');
}

/** Programs of one file: what Node starts fastest. */
const single = {
  ...shared,
  splitting: false,
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  define: { 'import.meta.url': '__filename' },
  plugins: [leanImports],
};

const results = await Promise.all([
  build({
    ...shared,
    entryPoints: {
      'process-runtime': 'src/process-runtime.ts',
      'helper-renewal': 'src/operations/helper-renewal.ts',
    },
    chunkNames: 'main-[hash]',
    plugins: [nodeModules, oneBase],
  }),
  build({ ...single, entryPoints: ['src/start.ts'] }),
  build({ ...single, entryPoints: ['src/credential-helper.ts'], plugins: [apartFromHelper, leanImports] }),
  build({ ...single, entryPoints: ['src/operations/helper-storage.ts'] }),
  build({ ...single, entryPoints: ['src/vault/library-items.ts'] }),
  build({ ...shared, entryPoints: ['src/vault/keychain-child.ts'], splitting: false }),
]);
await writeFile('dist/THIRD-PARTY-LICENSES.txt', await collectLicences(results));

async function collectLicences(built) {
  const inputs = built.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const folders = new Set(
    inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  );
  const texts = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(join(folder, file), 'utf8') : `Licence: ${license}`;
    texts.push(`${name} ${version}\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${'-'.repeat(72)}\n\n`);
}
