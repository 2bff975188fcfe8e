import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandTable } from '../../src/cli/command-table.ts';
import { completionWord } from '../../src/cli/program.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';

/** Whether a program of this machine is missing; says so. */
function isMissing(program: string, versionFlag = '--version'): boolean {
  const missing = spawnSync(program, [versionFlag]).error !== undefined;
  if (missing) process.stderr.write(`Skipped for want of ${program}: completion in it\n`);
  return missing;
}

const hostile = '$(touch canary-was-run)';

/** A sandbox with links, one of them hostile, and `gitlink` on PATH. */
function createLinkedSandbox(): Sandbox {
  const sandbox = createSandbox();
  const link = (name: unknown): object => ({ name, host: 'https://git.acme.dev', account: { login: 'ada' } });
  writeFileSync(
    join(sandbox.configDirectory, 'links.json'),
    JSON.stringify({ links: ['work', 'work-two', 'home', hostile, 'a b', '-rf', '../x', 7].map(link) }),
    { mode: 0o600 },
  );
  writeFileSync(
    join(sandbox.home, 'bin/gitlink'),
    `#!/bin/sh\nexec '${process.execPath}' '${resolve(import.meta.dirname, '../../bin/gitlink.js')}' "$@"\n`,
    { mode: 0o755 },
  );
  writeFileSync(join(sandbox.home, 'token file.txt'), '');
  mkdirSync(join(sandbox.home, 'token-folder'));
  return sandbox;
}

/** What gitlink suggests for the last word. */
async function suggest(sandbox: Sandbox, ...words: string[]): Promise<string[]> {
  const run = await sandbox.run([completionWord, String(words.length - 1), ...words]);
  expect(run).toMatchObject({ exitCode: 0, stderr: '' });
  return run.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t')[0] ?? '');
}

describe('suggestions', () => {
  test('every command, and the flags of one with those of all', async () => {
    const sandbox = createLinkedSandbox();
    expect(await suggest(sandbox, '')).toEqual(Object.keys(commandTable));
    expect(await suggest(sandbox, 'reg')).toEqual(['regenerate-webhooks']);
    expect(await suggest(sandbox, 'list', '--')).toEqual(
      expect.arrayContaining(['--check', '--expiring', '--json', '--config-dir', '--help']),
    );
    expect(await suggest(sandbox, '--json', 'list', '--ch')).toEqual(['--check']);
    expect(await suggest(sandbox, 'nonsense', '')).toEqual([':files']);
  });

  test('link names where a link is wanted, and only names that gitlink gives', async () => {
    const sandbox = createLinkedSandbox();
    const names = ['work', 'work-two', 'home'];
    for (const command of ['show', 'restrict', 'repos', 'relink', 'rotate', 'rename', 'unlink', 'token']) {
      expect(await suggest(sandbox, command, '')).toEqual(names);
    }
    expect(await suggest(sandbox, 'unlink', '--yes', 'w')).toEqual(['work', 'work-two']);
    expect(await suggest(sandbox, 'rotate', 'home', '--via', '')).toEqual(names);
    expect(await suggest(sandbox, 'setup-git', '--local', '--link=h')).toEqual(['--link=home']);
    // The second word of rename is a new name.
    expect(await suggest(sandbox, 'rename', 'work', '')).toEqual([]);
    expect(await suggest(sandbox, 'show', '--config-dir', sandbox.home, '')).toEqual([]);
    expect(
      (await sandbox.run([completionWord, '1', 'show'], { env: { GITLINK_PROVIDER: 'gitea' } })).stdout,
    ).toContain('env\tfrom the environment\n');
  });

  test('words, providers, actions, files; of a list with commas the last word', async () => {
    const sandbox = createLinkedSandbox();
    expect(await suggest(sandbox, 'link', 'git')).toEqual(expect.arrayContaining(['gitea', 'gitlab']));
    expect(await suggest(sandbox, 'list', '--provider', 'forg')).toEqual(['forgejo']);
    expect(await suggest(sandbox, 'link', '--store', '')).toEqual(['keychain', 'file']);
    expect(await suggest(sandbox, 'link', '--store=k')).toEqual(['--store=keychain']);
    expect(await suggest(sandbox, 'link', '--for', 'clone,w')).toEqual(['clone,webhooks']);
    expect(await suggest(sandbox, 'client', '')).toEqual(['add', 'create', 'list', 'remove']);
    expect(await suggest(sandbox, 'client', 'add', 'gitl')).toEqual(['gitlab']);
    expect(await suggest(sandbox, 'config', 'set', 'webhook-')).toEqual(['webhook-url', 'webhook-events']);
    expect(await suggest(sandbox, 'completion', '')).toEqual(['bash', 'zsh', 'fish', 'powershell', 'pwsh']);
    expect(await suggest(sandbox, 'link', '--token-file', 'x')).toEqual([':files']);
    expect(await suggest(sandbox, 'list', '--config-dir', 'x')).toEqual([':directories']);
    expect(await suggest(sandbox, 'exec', 'work', '--', 'gi')).toEqual([':files']);
    expect(await suggest(sandbox, 'link', '--name', '')).toEqual([]);
  });

  test('the actions that are suggested are those that there are', async () => {
    const sandbox = createLinkedSandbox();
    for (const command of ['client', 'config']) {
      for (const action of await suggest(sandbox, command, '')) {
        const run = await sandbox.run([command, action, '--no-input']);
        expect(run.stderr, `${command} ${action}`).not.toContain('is not ');
      }
    }
  });

  test('the way of bash, which splits a flag from its value', async () => {
    const sandbox = createLinkedSandbox();
    expect(await suggest(sandbox, 'link', '--store', '=')).toEqual(['keychain', 'file']);
    expect(await suggest(sandbox, 'link', '--store', '=', 'fi')).toEqual(['file']);
    expect(await suggest(sandbox, 'link', '--store', '=', 'file', '--met')).toEqual(['--method']);
  });

  test('E2: damaged, hostile and missing records suggest nothing, and no line says why', async () => {
    const sandbox = createLinkedSandbox();
    const path = join(sandbox.configDirectory, 'links.json');
    for (const content of ['{', 'null', '[]', '{"links":7}', '{"links":[null,{}]}', '\u001b[2J']) {
      writeFileSync(path, content);
      expect(await suggest(sandbox, 'show', '')).toEqual([]);
    }
    writeFileSync(
      path,
      JSON.stringify({ links: [{ name: 'work', host: 'x\ty\n:files', account: { login: '\u001b[2J' } }] }),
    );
    const run = await sandbox.run([completionWord, '1', 'show']);
    expect(run.stdout).toBe('work\t\\x1b[2J at x\\x09y\\x0a:files\n');
  });

  test('D3: whatever stands on the line is no error and is not repeated', async () => {
    const sandbox = createLinkedSandbox();
    for (const words of [
      ['link', '--token', ''],
      ['--json', '--version', ''],
      ['exec', '--', '--', ''],
    ]) {
      await suggest(sandbox, ...words);
    }
    expect(await sandbox.run([completionWord])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await sandbox.run([completionWord, '9999', 'x'])).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

describe('completion', () => {
  test('prints the script of each shell; another word is exit 2', async () => {
    const sandbox = createSandbox();
    for (const shell of ['bash', 'zsh', 'fish', 'powershell']) {
      const run = await sandbox.run(['completion', shell]);
      expect(run).toMatchObject({ exitCode: 0, stderr: '' });
      expect(run.stdout).toContain(`gitlink completion ${shell}`);
      const { script } = (await sandbox.run(['completion', shell, '--json'])).json<{ script: string }>();
      expect(script).toBe(run.stdout);
    }
    expect(await sandbox.run(['completion', 'tcsh'])).toMatchObject({ exitCode: 2 });
    expect(await sandbox.run(['completion'])).toMatchObject({ exitCode: 2 });
  });

  // No PowerShell runs here: its script is read, not run.
  test('PowerShell: the script never puts words into a command line again', async () => {
    const { stdout } = await createSandbox().run(['completion', 'powershell']);
    expect(stdout).toContain("Register-ArgumentCompleter -Native -CommandName 'gitlink'");
    expect(stdout).toContain(`& gitlink ${completionWord} $index @words 2>$null`);
    expect(stdout).toContain('$_ -split "`t", 2');
    expect(stdout.match(/\{/g)).toHaveLength(stdout.match(/\}/g)?.length ?? 0);
    expect(stdout).not.toMatch(/Invoke-Expression\s+[^\n]*\$words|iex/);
  });
});

/** Waits for a text; ends with the code when it does not come. One line would be taken for a pattern. */
function awaitText(text: string, exitCode: number): string {
  return `expect {\n-ex {${text}} {}\ntimeout { exit ${exitCode} }\neof { exit ${exitCode} }\n}`;
}

/** Presses TAB in a shell that runs in a terminal, and reads what it runs when Enter is pressed. */
async function pressTab(sandbox: Sandbox, shell: readonly string[], setup: string, typed: string) {
  const log = join(sandbox.home, 'ran');
  // What the line became is seen by whoever is run by it.
  writeFileSync(
    join(sandbox.home, 'bin/gitlink'),
    `#!/bin/sh\nif [ "$1" = ${completionWord} ] || [ "$1" = completion ]; then\n` +
      `  exec '${process.execPath}' '${resolve(import.meta.dirname, '../../bin/gitlink.js')}' "$@"\nfi\n` +
      `printf '<%s>' "$@" > '${log}'\n`,
    { mode: 0o755 },
  );
  const lines = [
    'set timeout 20',
    `set stty_init "rows 40 columns 120"`,
    `spawn -noecho ${shell.map((word) => `{${word}}`).join(' ')}`,
    awaitText('READY>', 91),
    `send -- {${setup}}`,
    'send -- "\\r"',
    awaitText('SET-UP', 92),
    awaitText('READY>', 93),
    `send -- {${typed}}`,
    'send -- "\\t"',
    'send -- "\\r"',
    awaitText('READY>', 94),
    'exit 0',
  ];
  const run = await sandbox.runProgram('expect', ['-c', lines.join('\n')], {
    env: { TERM: 'dumb', PS1: 'READY> ', ZDOTDIR: sandbox.home },
  });
  expect(run.exitCode, run.stdout).toBe(0);
  return readFileSync(log, 'utf8');
}

/** `$(touch …)` on the line before the cursor must stay what it is: text. */
function expectNothingRan(sandbox: Sandbox): void {
  expect(spawnSync('ls', [sandbox.home], { encoding: 'utf8' }).stdout).not.toContain('canary-was-run');
}

describe.skipIf(isMissing('bash'))('bash', () => {
  /** What the function gives for words as bash splits them. */
  async function complete(sandbox: Sandbox, words: readonly string[]): Promise<string[]> {
    const quoted = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    const script = [
      'source <(gitlink completion bash)',
      `COMP_WORDS=(gitlink ${quoted}); COMP_CWORD=${words.length}`,
      '_gitlink gitlink; printf \'%s\\n\' "${COMPREPLY[@]}"',
    ].join('\n');
    const run = await sandbox.runProgram('bash', ['--norc', '--noprofile', '-c', script]);
    expect(run.exitCode, run.stderr).toBe(0);
    return run.stdout.split('\n').filter((line) => line !== '');
  }

  test('commands, flags, words and links', async () => {
    const sandbox = createLinkedSandbox();
    expect(await complete(sandbox, ['unl'])).toEqual(['unlink']);
    expect(await complete(sandbox, ['unlink', ''])).toEqual(['work', 'work-two', 'home']);
    expect(await complete(sandbox, ['list', '--ch'])).toEqual(['--check']);
    expect(await complete(sandbox, ['link', '--store', '=', 'k'])).toEqual(['keychain']);
    expect(await complete(sandbox, ['link', hostile, '--name', 'a b', '--met'])).toEqual(['--method']);
    expectNothingRan(sandbox);
  });

  test.skipIf(isMissing('expect', '-v'))('TAB finishes a name, a flag, a file with a space', async () => {
    const sandbox = createLinkedSandbox();
    const bash = ['bash', '--norc', '--noprofile', '-i'];
    const setup = 'source <(gitlink completion bash); echo SET-""UP';
    expect(await pressTab(sandbox, bash, setup, 'gitlink show ho')).toBe('<show><home>');
    expect(await pressTab(sandbox, bash, setup, 'gitlink link --store=k')).toBe('<link><--store=keychain>');
    expect(await pressTab(sandbox, bash, setup, 'gitlink link --token-file token\\ f')).toBe(
      '<link><--token-file><token file.txt>',
    );
    expect(await pressTab(sandbox, bash, setup, "gitlink unlink 'ho")).toBe('<unlink><home>');
  });
});

describe.skipIf(isMissing('zsh') || isMissing('expect', '-v'))('zsh', () => {
  const zsh = ['zsh', '-f', '-i'];
  const setup = 'autoload -U compinit; compinit -u; source <(gitlink completion zsh); echo SET-""UP';

  test('TAB finishes a command, a name, a flag, a value, a file with a space', async () => {
    const sandbox = createLinkedSandbox();
    expect(await pressTab(sandbox, zsh, setup, 'gitlink unl')).toBe('<unlink>');
    expect(await pressTab(sandbox, zsh, setup, 'gitlink show ho')).toBe('<show><home>');
    expect(await pressTab(sandbox, zsh, setup, 'gitlink list --ch')).toBe('<list><--check>');
    expect(await pressTab(sandbox, zsh, setup, 'gitlink link --store=k')).toBe('<link><--store=keychain>');
    expect(await pressTab(sandbox, zsh, setup, 'gitlink link --token-file=token\\ f')).toBe(
      '<link><--token-file=token file.txt>',
    );
  });

  test('what stands on the line is not run', async () => {
    const sandbox = createLinkedSandbox();
    const typed = `gitlink link '${hostile}' --met`;
    expect(await pressTab(sandbox, zsh, setup, typed)).toBe(`<link><${hostile}><--method>`);
    expectNothingRan(sandbox);
  });
});

describe.skipIf(isMissing('fish'))('fish', () => {
  /** What fish itself says that it would offer. */
  async function complete(sandbox: Sandbox, line: string): Promise<string[]> {
    const script = `gitlink completion fish | source; complete -C $argv[1]`;
    const run = await sandbox.runProgram('fish', ['--no-config', '-c', script, line]);
    expect(run.exitCode, run.stderr).toBe(0);
    return run.stdout
      .split('\n')
      .filter((each) => each !== '')
      .map((each) => each.split('\t')[0] ?? '');
  }

  test('commands, flags, words, links and files', async () => {
    const sandbox = createLinkedSandbox();
    expect(await complete(sandbox, 'gitlink unl')).toEqual(['unlink']);
    expect((await complete(sandbox, 'gitlink unlink ')).sort()).toEqual(['home', 'work', 'work-two']);
    expect(await complete(sandbox, 'gitlink list --ch')).toEqual(['--check']);
    expect(await complete(sandbox, 'gitlink link --store=k')).toEqual(['--store=keychain']);
    expect(await complete(sandbox, 'gitlink link --token-file token\\ f')).toEqual([
      expect.stringMatching(/token(?:\\| )? ?file\.txt$/),
    ]);
    expect(await complete(sandbox, 'gitlink list --config-dir tok')).toEqual(['token-folder/']);
    expect(await complete(sandbox, `gitlink link '${hostile}' --met`)).toEqual(['--method']);
    expectNothingRan(sandbox);
  });
});
