import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandTable } from '../../src/cli/command-table.ts';
import { exitCodes } from '../../src/errors.ts';
import { addToken, createLinked, usualScopes } from '../support/linked.ts';
import { createSandbox, type RunOptions, type Sandbox } from '../support/sandbox.ts';

/** The commands that one cause should stop in one way. */
const families = {
  links: ['list', 'show', 'rename'],
  credentials: ['link', 'relink', 'rotate', 'unlink'],
  access: ['restrict', 'repos', 'token', 'exec'],
  webhooks: ['regenerate-webhooks', 'webhook-secret'],
  git: ['setup-git', 'explain', 'credential'],
  machine: ['client', 'config', 'audit', 'doctor', 'completion'],
} as const;

/** A command line, words divided by spaces. What comes after two hyphens is another program's. */
function toWords(line: string): readonly string[] {
  const words = line.split(' ').filter((word) => word !== '');
  const dashes = words.indexOf('--');
  return dashes === -1 ? [...words, '--json'] : words.toSpliced(dashes, 0, '--json');
}

/**
 * Runs command lines with `--json` and compares how each ended. The sandbox itself checks that every one printed
 * exactly one document, an error's for a failure.
 */
async function expectCodes(
  sandbox: Sandbox,
  expected: Readonly<Record<string, number>>,
  options: RunOptions = {},
): Promise<void> {
  const codes: Record<string, number | null> = {};
  for (const line of Object.keys(expected)) {
    const run = await sandbox.run(toWords(line), options);
    codes[line] = run.exitCode;
    if (run.stdout.startsWith('{"error"')) {
      const { error } = run.json<{ error: { code: keyof typeof exitCodes; message: string } }>();
      const own = error.code === 'cancelled' ? [130, 143] : [exitCodes[error.code]];
      expect(own, `${line}: ${error.code}`).toContain(run.exitCode);
      expect(run.stderr, line).toContain(`gitlink: ${error.message}`);
    }
  }
  expect(codes).toEqual(expected);
}

/** The same code for many lines. */
function all(code: number, ...lines: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(lines.map((line) => [line, code]));
}

// Some two hundred processes.
describe('exit codes', { timeout: 240_000 }, () => {
  test('every command is in a family', () => {
    expect(Object.values(families).flat().sort()).toEqual(Object.keys(commandTable).sort());
  });

  test('2: a flag that does not exist, for every command; also no command, and one that is none', async () => {
    const sandbox = createSandbox();
    const lines = Object.keys(commandTable).map((name) => `${name} --no-such-flag`);
    await expectCodes(sandbox, all(2, ...lines, '', 'no-such-command', 'list --expiring'));
  });

  test('2: what is missing, and what contradicts itself', async () => {
    const { sandbox } = await createLinked();
    await expectCodes(
      sandbox,
      all(
        2,
        ...['list --expiring soon', 'rename gitea', 'rename gitea ../x'],
        ...['link', 'link gitea', 'relink gitea', 'unlink gitea'],
        ...['unlink gitea --forget --revoke --yes', 'rotate gitea --expires yesterday'],
        ...['restrict gitea', 'exec gitea', 'exec gitea -- no-such-program', 'token a b'],
        ...['regenerate-webhooks gitea', 'regenerate-webhooks gitea --repair --remove'],
        ...[
          'webhook-secret a b',
          'setup-git --link gitea',
          'explain',
          'explain git@git.acme.example:a/b.git',
        ],
        ...[
          'credential',
          'client',
          'client add',
          'client paint',
          'config',
          'config get',
          'config set browser',
        ],
        ...['config get no-such-preference', 'audit --fail-on never', 'audit --format csv'],
        ...['doctor more', 'completion', 'completion tcsh', 'link --token canary'],
      ),
    );
  });

  test('5: there is no such thing', async () => {
    const { sandbox } = await createLinked();
    await expectCodes(
      sandbox,
      all(
        5,
        ...[
          'show none',
          'rename none other',
          'relink none',
          'rotate none',
          'unlink none',
          'unlink gitea --via none',
        ],
        ...[
          'restrict none acme',
          'restrict gitea no-such-owner',
          'restrict gitea --repo acme/none',
          'repos none',
        ],
        ...['repos gitea --namespace no-such-owner', 'token none', 'exec none -- true'],
        ...['regenerate-webhooks none', 'webhook-secret none', 'webhook-secret gitea'],
        ...['regenerate-webhooks gitea --repo acme/none --url https://ci.acme.example/hook'],
        ...['setup-git --local --link none', 'client remove none', 'config get browser'],
      ),
    );
    await expectCodes(
      createSandbox(),
      all(5, 'show', 'repos', 'token', 'setup-git', 'webhook-secret', 'restrict'),
    );
  });

  test('4: a credential that is dead; 3 for those who tell about many', async () => {
    const { sandbox, gitea, token } = await createLinked();
    const found = [...gitea.state.tokens.values()].find(({ secret }) => secret === token);
    if (found) gitea.state.tokens.delete(found.secret);
    const hook = '--url https://ci.acme.example/hook';
    const env = { TOKEN: sandbox.guard('canary0123456789abcdef0123456789abcdef01') };
    await expectCodes(
      sandbox,
      {
        ...all(
          4,
          `link gitea --host ${gitea.url} --name other --token-env TOKEN`,
          'relink gitea --token-env TOKEN',
        ),
        ...all(4, 'rotate gitea', 'restrict gitea acme', 'repos gitea', `regenerate-webhooks gitea ${hook}`),
        ...all(4, `client create gitea --host ${gitea.url} --token-env TOKEN`),
        ...all(3, 'list --check', 'audit --fail-on error', 'repos --all'),
        'unlink gitea --revoke --yes': 0,
      },
      { env },
    );
  });

  test('6: a restriction, a scope that is missing, and what the host cannot do', async () => {
    const { sandbox, gitea } = await createLinked({ link: ['--namespace', 'acme'] });
    const hook = '--url https://ci.acme.example/hook';
    const env = { TOKEN: sandbox.guard(addToken(gitea, usualScopes, 'bob')) };
    await expectCodes(
      sandbox,
      all(
        6,
        ...[
          'token gitea',
          'token gitea --repo ada/notes',
          'token gitea --repo acme/api --permission contents:read',
        ],
        ...['exec gitea --repo ada/notes -- true', 'rotate gitea'],
        ...[
          `regenerate-webhooks gitea --repo ada/notes ${hook}`,
          `regenerate-webhooks gitea --at app ${hook}`,
        ],
        ...[`link gitea --host ${gitea.url} --name other --method device --client-id canary`],
        ...[`client create gitea --host ${gitea.url} --token-env TOKEN`],
      ),
      { env },
    );
    await sandbox.run(['regenerate-webhooks', 'gitea', '--url', 'https://ci.acme.example/hook']);
    await expectCodes(sandbox, all(6, 'webhook-secret gitea --signing'));
  });

  test('7: the host is away; a network fault is never 4', async () => {
    const { sandbox, gitea, token } = await createLinked();
    gitea.faults.add({ fault: { kind: 'cut' } });
    const hook = '--url https://ci.acme.example/hook';
    const env = { TOKEN: token };
    await expectCodes(
      sandbox,
      {
        ...all(
          7,
          `link gitea --host ${gitea.url} --name other --token-env TOKEN`,
          'relink gitea --token-env TOKEN',
        ),
        ...all(7, 'restrict gitea acme', 'repos gitea', `regenerate-webhooks gitea ${hook}`),
        ...all(3, 'list --check', 'unlink gitea --revoke --yes'),
      },
      { env },
    );
  });

  test("8: gitlink's own files are damaged, or the secret store cannot be opened", async () => {
    const { sandbox, gitea } = await createLinked();
    const wrong = { GITLINK_PASSPHRASE: 'canary, and not the right one' };
    const env = { ...wrong, TOKEN: addToken(gitea, usualScopes) };
    sandbox.guard(env.TOKEN);
    const hook = '--url https://ci.acme.example/hook';
    await expectCodes(
      sandbox,
      all(
        8,
        ...[
          'token gitea',
          'exec gitea -- true',
          'repos gitea',
          'relink gitea --token-env TOKEN',
          'rotate gitea',
        ],
        ...[
          `link gitea --host ${gitea.url} --name other --token-env TOKEN`,
          `regenerate-webhooks gitea ${hook}`,
        ],
        ...['restrict gitea acme'],
      ),
      { env },
    );
    const path = join(sandbox.configDirectory, 'links.json');
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -20));
    await expectCodes(sandbox, {
      ...all(
        8,
        'list',
        'list --check',
        'show',
        'rename gitea other',
        'link gitea --host x.example',
        'relink gitea',
      ),
      ...all(8, 'unlink gitea --yes', 'restrict gitea acme', 'repos', 'token', 'regenerate-webhooks gitea'),
      ...all(
        8,
        'webhook-secret gitea',
        'setup-git',
        'explain https://git.acme.example/a/b.git',
        'client list',
      ),
      ...all(8, 'audit'),
      doctor: 1,
    });
    writeFileSync(join(sandbox.configDirectory, 'settings.json'), '{');
    await expectCodes(sandbox, all(8, 'config list', 'config set browser firefox'));
  });

  test('1 and others: what another program ended with is what exec ends with', async () => {
    const { sandbox } = await createLinked();
    for (const code of [1, 42]) {
      const run = await sandbox.run(['exec', 'gitea', '--json', '--', 'sh', '-c', `exit ${code}`]);
      expect([run.exitCode, run.stdout]).toEqual([code, '']);
    }
  });

  test('after two hyphens --json is of the other program: standard output stays its own', async () => {
    const run = await createSandbox().run(['exec', 'none', '--', 'true', '--json']);
    expect([run.exitCode, run.stdout]).toEqual([5, '']);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends every family that asks a host with %i and a document', async (signal, code) => {
    const { sandbox, gitea } = await createLinked();
    gitea.faults.add({ fault: { kind: 'stall' } });
    const lines = ['repos gitea', 'list --check', 'audit', 'restrict gitea acme'];
    const hook = 'regenerate-webhooks gitea --url https://ci.acme.example/hook';
    for (const line of [...lines, hook]) {
      const before = gitea.requests.length;
      const run = await sandbox.run(toWords(line), {
        onStart: (child) => {
          const timer = setInterval(() => {
            if (gitea.requests.length === before) return;
            clearInterval(timer);
            child.kill(signal);
          }, 10);
        },
      });
      expect([line, run.exitCode]).toEqual([line, code]);
      expect(run.json()).toMatchObject({ error: { code: 'cancelled' } });
    }
  });

  test('0: nothing to do is no failure', async () => {
    const { sandbox } = await createLinked();
    await expectCodes(sandbox, {
      ...all(0, 'list', 'list --check', 'list --expiring 7', 'show', 'repos', 'audit', 'client list'),
      ...all(0, 'explain https://git.acme.example/a/b.git', 'setup-git', 'setup-git', 'setup-git --undo'),
      ...all(
        0,
        'regenerate-webhooks gitea --remove',
        'config list',
        'config set browser firefox',
        'config get browser',
      ),
      ...all(
        0,
        'config unset browser',
        'completion bash',
        'restrict gitea acme',
        'restrict gitea --unrestricted',
      ),
      ...all(0, 'rename gitea work', 'unlink work --dry-run', 'unlink work --yes'),
    });
  });
});
