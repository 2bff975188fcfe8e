import { describe, expect, test } from 'vitest';
import { commandTable } from '../../src/cli/command-table.ts';
import { createSandbox } from '../support/sandbox.ts';

describe('help', () => {
  test('of every command begins with examples and is exit 0', async () => {
    const sandbox = createSandbox();
    const names = Object.keys(commandTable);
    const runs = await Promise.all(names.map((name) => sandbox.run([name, '--help'])));
    runs.forEach((run, index) => {
      const name = names[index] ?? '';
      expect(run, name).toMatchObject({ exitCode: 0, stderr: '' });
      expect(run.stdout, name).toMatch(/^Examples:\n {2}\$ \S/);
      expect(run.stdout, name).toContain(`Usage: gitlink ${name} `);
      expect(run.stdout, name).toContain('gitlink --help');
    });
  });

  test('without arguments the whole help is shown, naming every command', async () => {
    const sandbox = createSandbox();
    const none = await sandbox.run([]);
    expect(none).toMatchObject({ exitCode: 0, stderr: '' });
    expect(none.stdout).toMatch(/^Examples:\n {2}\$ gitlink link /);
    for (const name of Object.keys(commandTable)) expect(none.stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect((await sandbox.run(['--help'])).stdout).toBe(none.stdout);
    expect((await sandbox.run(['-h'])).stdout).toBe(none.stdout);
  });

  test('fits into 80 columns', async () => {
    const sandbox = createSandbox();
    const runs = await Promise.all(
      ['--help', ...Object.keys(commandTable)].map((word) => sandbox.run([word, '--help'])),
    );
    const lines = runs.flatMap(({ stdout }) => stdout.split('\n'));
    // Examples stay whole, so that they can be copied: they begin with two or six spaces.
    expect(lines.filter((line) => line.length > 80 && !/^(?: {2}\$ | {6}\S)/.test(line))).toEqual([]);
  });

  test('--version prints the version, wherever it stands', async () => {
    const sandbox = createSandbox();
    for (const args of [['--version'], ['-V'], ['--json', '--version']]) {
      expect(await sandbox.run(args)).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
      });
    }
  });
});

describe('command lines that cannot be understood are exit 2, with the next step', () => {
  test.each([
    { args: ['lst'], message: "Unknown command 'lst'.", hint: 'Did you mean list? See: gitlink --help' },
    { args: ['frobnicate'], message: "Unknown command 'frobnicate'.", hint: 'See: gitlink --help' },
    { args: ['toString'], message: "Unknown command 'toString'.", hint: 'See: gitlink --help' },
    { args: ['__proto__'], message: "Unknown command '__proto__'.", hint: 'See: gitlink --help' },
    { args: ['--bogus'], message: "Unknown option '--bogus'.", hint: 'See: gitlink --help' },
    {
      args: ['list', '--chek'],
      message: "Unknown option '--chek'.",
      hint: 'Did you mean --check? See: gitlink list --help',
    },
    { args: ['show', 'a', 'b'], message: "Too many arguments for 'show'. Expected 1 argument but got 2." },
    {
      args: ['rename', 'a'],
      message: "Missing required argument 'name': its new name.",
      hint: 'See: gitlink rename --help',
    },
    { args: ['config'], message: "Missing required argument 'action': list, get, set or unset." },
    { args: ['client'], message: "Missing required argument 'action': add, create, list or remove." },
    {
      args: ['completion'],
      message: "Missing required argument 'shell': bash, zsh, fish, powershell, pwsh.",
    },
    { args: ['list', '--provider'], message: "Option '--provider <provider>' argument missing." },
    {
      args: ['link', '--method', 'magic'],
      message: /^Option '--method <method>' argument 'magic' is invalid\..*app\.$/,
    },
    // Here it is the --json of every case that stands where a value was forgotten.
    {
      args: ['list', '--config-dir'],
      message: '--config-dir needs a value, and what follows it is a flag.',
      hint: 'See: gitlink list --help',
    },
    {
      args: ['repos', '--namespace', '--search'],
      message: '--namespace needs a value, and what follows it is a flag.',
      hint: 'See: gitlink repos --help',
    },
  ])('$args', async ({ args, message, hint }) => {
    const sandbox = createSandbox();
    const run = await sandbox.run([...args, '--json']);
    expect(run).toMatchObject({ exitCode: 2 });
    const { error } = run.json<{ readonly error: { code: string; message: string; hint: string } }>();
    expect(error.code).toBe('usage');
    if (typeof message === 'string') expect(error.message).toBe(message);
    else expect(error.message).toMatch(message);
    if (hint !== undefined) expect(error.hint).toBe(hint);
    expect(run.stderr).toContain(`gitlink: ${error.message}\n  ${error.hint}\n`);
  });

  test('D3: the value of an unknown flag is never repeated', async () => {
    const sandbox = createSandbox();
    for (const flag of ['--tokn', '--api-token', '--with-tokn']) {
      const run = await sandbox.run(['list', `${flag}=canary-value-of-flag`, '--json']);
      expect(run).toMatchObject({ exitCode: 2 });
      expect(run.stdout + run.stderr).not.toContain('canary-value');
    }
  });
});
