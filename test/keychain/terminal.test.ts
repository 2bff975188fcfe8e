import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readLinks } from '../support/ask-git.ts';
import { addToken, createLinked, startGitea, usualScopes } from '../support/linked.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';
import { createKeychainSandbox, isSecretServiceMissing, timed } from './keychain-kit.ts';

const gitlink = resolve(import.meta.dirname, '../../bin/gitlink.js');

/** Whether there is no `expect` to be the person at the terminal; says so. */
function isExpectMissing(): boolean {
  const isMissing = spawnSync('expect', ['-v']).error !== undefined;
  if (isMissing) process.stderr.write('Skipped for want of expect: questions in a terminal\n');
  return isMissing;
}

const enter = '\\r';
const down = '\\033\\[B';
const interrupt = '\\003';

/** Stands for an answer: the address that is on the screen is opened, by a program that follows redirects. */
const visitShown = 'visit the address on the screen';
const visitor = `
const { get } = require('node:http');
const go = (url) => get(url, ({ headers }) => headers.location && go(new URL(headers.location, url)));
go(process.argv[1]);`;
const visitScript = `
regexp {(http://[^ ]*authorize[^ \\r\\n]*)} $seen url
exec {${process.execPath}} -e {${visitor}} $url`;

/**
 * Runs gitlink in a terminal of 200 columns.
 *
 * @param dialogue - What is waited for, and what is typed then; `$env(TOKEN)` stands for the token.
 * @returns What the terminal showed, as `stdout`, and gitlink's exit code.
 */
async function converse(
  sandbox: Sandbox,
  args: readonly string[],
  dialogue: readonly (readonly [question: string, answer: string])[],
  token = '',
): Promise<Run> {
  const script = [
    'set timeout 20',
    'set seen {}',
    'set stty_init "rows 40 columns 200"',
    `spawn -noecho {${process.execPath}} {${gitlink}} ${args.map((word) => `{${word}}`).join(' ')}`,
    ...dialogue.flatMap(([question, answer]) => [
      `expect {\n-ex {${question}} { append seen $expect_out(buffer) }\ntimeout { exit 99 }\neof { exit 98 }\n}`,
      answer === visitShown ? visitScript : `send -- "${answer}"`,
    ]),
    'expect {\neof {}\ntimeout { exit 97 }\n}',
    'catch wait result',
    'exit [lindex $result 3]',
  ].join('\n');
  const run = await sandbox.runProgram('expect', ['-c', script], { env: { TOKEN: token, TERM: 'xterm' } });
  const stdout = run.stdout.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '');
  return { ...run, stdout };
}

describe.skipIf(isExpectMissing())('in a terminal', () => {
  test('link asks for consent, the token without showing it, the namespaces, and git', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const run = await converse(
      sandbox,
      ['link', 'gitea', '--host', gitea.url],
      [
        [`Send your credential to ${gitea.url}?`, enter],
        ['How do you want to sign in?', enter],
        ['Paste the token', `$env(TOKEN)${enter}`],
        ['everything that the account reaches?', `n${enter}`],
        ['[ ] acme', `${down}${down}${enter}`],
        ['Done (1 chosen)', enter],
        ['Use this account for git?', enter],
      ],
      token,
    );
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stdout).toContain(`${gitea.url} is gitea 1.27.0.`);
    expect(run.stdout).toContain(`Make a token at ${gitea.url}/user/settings/applications`);
    expect(run.stdout).toContain('Limited to acme.');
    expect(run.stdout).toContain('Linked ada');
    expect(run.stdout).toContain('helper = gitlink');
    expect(readLinks(sandbox)).toMatchObject([{ restriction: { namespaces: ['acme'] } }]);
    expect(readFileSync(join(sandbox.home, '.gitconfig'), 'utf8')).toContain('helper = gitlink');
  });

  test('A16: without a display the ways are offered; the address comes back while the paste is asked for', async () => {
    const gitea = await startGitea({ person: { consent: 'approve' } });
    const sandbox = createSandbox();
    const { clientId, clientSecret } = gitea.oauth.addApplication();
    sandbox.guard(clientSecret);
    const args = ['link', 'gitea', '--host', gitea.url];
    const run = await converse(sandbox, args, [
      ['Send your credential to', enter],
      ['How do you want to sign in?', `${down}${enter}`],
      ['There is no display here', enter],
      ['How is the client to be registered?', enter],
      ['Confidential Client', `${clientId}${enter}`],
      ['Client secret', enter],
      ['The address that the browser ended at', `nonsense${enter}`],
      ['The address that the browser ended at', visitShown],
      ['everything that the account reaches?', enter],
      ['Use this account for git?', `n${enter}`],
    ]);
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    expect(run.stdout).toContain('Signed in as ada.');
    expect(readLinks(sandbox)).toMatchObject([{ method: 'oauth' }]);
  });

  test('E4: no credential is asked for, or sent, when the person does not want the host', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const run = await converse(
      sandbox,
      ['link', 'gitea', '--host', gitea.url],
      [['Send your credential to', `n${enter}`]],
    );
    expect(run).toMatchObject({ exitCode: 130 });
    expect(run.stdout).toContain('Nothing was sent.');
    expect(gitea.requests.every(({ authorization }) => authorization === null)).toBe(true);
  });

  const steps = [
    ['Send your credential to', enter],
    ['How do you want to sign in?', enter],
    ['Paste the token', `$env(TOKEN)${enter}`],
    ['everything that the account reaches?', `n${enter}`],
    ['Done (0 chosen)', ''],
  ] as const;

  test.each(steps.map(([question], index) => ({ question, before: steps.slice(0, index) })))(
    'Ctrl-C at "$question" is exit 130, and nothing is stored',
    async ({ question, before }) => {
      const gitea = await startGitea();
      const sandbox = createSandbox();
      const token = sandbox.guard(addToken(gitea, usualScopes));
      const args = ['link', 'gitea', '--host', gitea.url];
      const run = await converse(sandbox, args, [...before, [question, interrupt]], token);
      expect(run).toMatchObject({ exitCode: 130 });
      expect(run.stdout).toContain('gitlink: Stopped.');
      expect(existsSync(join(sandbox.configDirectory, 'links.json'))).toBe(false);
    },
  );

  test('Ctrl-C at the question about git leaves the link, and git as it was', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const dialogue = [
      ...steps.slice(0, 3),
      ['everything that the account reaches?', enter],
      ['Use this account for git?', interrupt],
    ] as const;
    const run = await converse(sandbox, ['link', 'gitea', '--host', gitea.url], dialogue, token);
    expect(run).toMatchObject({ exitCode: 130 });
    expect(readLinks(sandbox)).toHaveLength(1);
    expect(existsSync(join(sandbox.home, '.gitconfig'))).toBe(false);
  });

  test('unlink shows what it will do and asks; a token that the person made is kept by default', async () => {
    const { sandbox, gitea, token } = await createLinked({ link: ['--setup-git'] });
    const refused = await converse(
      sandbox,
      ['unlink'],
      [
        ['Revoke the token', enter],
        ['undo the git setup, delete the secret and the link?', `n${enter}`],
      ],
    );
    expect(refused).toMatchObject({ exitCode: 130 });
    expect(refused.stdout).toContain('Nothing was changed.');
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
    const run = await converse(
      sandbox,
      ['unlink'],
      [
        ['Revoke the token', enter],
        ['delete the secret and the link?', enter],
      ],
    );
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stdout).toContain('Left for you: the token, which is not revoked');
    expect(gitea.state.tokens.has(token)).toBe(true);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test.skipIf(isSecretServiceMissing())(
    'B2: a keychain that waits for its password is said to, and Ctrl-C ends the wait',
    async () => {
      const gitea = await startGitea();
      const sandbox = await createKeychainSandbox();
      const token = sandbox.guard(addToken(gitea, usualScopes));
      const args = ['link', 'gitea', '--host', gitea.url];
      await sandbox.breakKeychain('promptNeverCompletes');
      const waiting = 'Waiting for your keychain to unlock (Ctrl-C to stop)';
      const run = await timed(converse(sandbox, args, [[waiting, interrupt]], token));
      expect(run).toMatchObject({ exitCode: 130 });
      expect(gitea.requests).toEqual([]);
      expect(run.durationMs).toBeLessThan(6_000);
    },
  );
});
