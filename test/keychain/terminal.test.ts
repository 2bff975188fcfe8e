import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readLinks } from '../support/ask-git.ts';
import { converse, enter, isExpectMissing, visitShown } from '../support/converse.ts';
import { addToken, createLinked, startGitea, usualScopes } from '../support/linked.ts';
import { createSandbox } from '../support/sandbox.ts';
import { fourRepositories, listHooks, receiverUrl } from '../cli/webhooks-kit.ts';
import { createKeychainSandbox, isSecretServiceMissing, timed } from './keychain-kit.ts';

const down = '\\033\\[B';
const up = '\\033\\[A';
const interrupt = '\\003';

describe.skipIf(isExpectMissing('questions in a terminal'))('in a terminal', () => {
  const steps = [
    ['Send your credential to', enter],
    ['How do you want to sign in?', enter],
    ['Paste the token', `$env(TOKEN)${enter}`],
    ['everything that the account reaches?', `n${enter}`],
    ['Done (0 chosen)', ''],
  ] as const;

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
      { TOKEN: token },
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

  test('link alone asks what to link, and takes the word of a provider for what it is on the command line', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const dialogue = [
      ['Which provider or host? (such as github or git.acme.dev)', `gitea${enter}`],
      ['Which host? (such as git.acme.dev)', `${gitea.url}${enter}`],
      ...steps.slice(0, 3),
      ['everything that the account reaches?', enter],
    ] as const;
    const run = await converse(sandbox, ['link', '--no-setup-git'], dialogue, { TOKEN: token });
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toMatchObject([{ provider: 'gitea', host: gitea.url }]);
  });

  test('a token is asked for until there is one', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const args = ['link', 'gitea', '--host', gitea.url, '--no-setup-git'];
    const dialogue = [
      ...steps.slice(0, 2),
      ['Paste the token', enter],
      ['Nothing was pasted. Paste the token, or stop with Ctrl-C.', `$env(TOKEN)${enter}`],
      ['everything that the account reaches?', enter],
    ] as const;
    const run = await converse(sandbox, args, dialogue, { TOKEN: token });
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toHaveLength(1);
  });

  test('a checklist that ends with nothing ticked asks again; space ticks and stays', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const dialogue = [
      ...steps.slice(0, 4),
      ['Done (0 chosen)', enter],
      ['Nothing is ticked yet. Tick at least one', `${down} `],
      ['[x] ada', ' '],
      ['[ ] ada', `${down} `],
      ['[x] acme', `${up}${up}${enter}`],
      ['Use this account for git?', `n${enter}`],
    ] as const;
    const run = await converse(sandbox, ['link', 'gitea', '--host', gitea.url], dialogue, { TOKEN: token });
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toMatchObject([{ restriction: { namespaces: ['acme'] } }]);
  });

  test('restrict asks again, too, and says how a restriction is lifted', async () => {
    const { sandbox } = await createLinked({ link: ['--namespace', 'acme'] });
    const run = await converse(
      sandbox,
      ['restrict'],
      [
        ['Done (1 chosen)', `${down}${down} `],
        ['[ ] acme', `${up}${up}${enter}`],
        ['gitlink restrict gitea --unrestricted', `${down} `],
        ['[x] ada', `${up}${enter}`],
      ],
    );
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toMatchObject([{ restriction: { namespaces: ['ada'] } }]);
  });

  test('regenerate-webhooks asks for the URL that nobody has said, until it is one', async () => {
    const { sandbox, gitea } = await createLinked({ gitea: { world: fourRepositories } });
    const question = 'Where shall the webhooks deliver to?';
    const run = await converse(
      sandbox,
      ['regenerate-webhooks'],
      [
        [question, `ci.acme.example/hook${enter}`],
        ['The webhook URL has no scheme. Write https:// in front of it', ''],
        [question, `${receiverUrl}${enter}`],
      ],
    );
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    const hooks = Object.values(listHooks(gitea)).flat();
    expect(hooks.map(({ url }) => url)).toEqual(Array.from({ length: 4 }, () => receiverUrl));
    const again = await converse(sandbox, ['regenerate-webhooks', '--dry-run'], []);
    expect(again, again.stdout).toMatchObject({ exitCode: 0 });
    expect(again.stdout).not.toContain(question);
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

  test.each(steps.map(([question], index) => ({ question, before: steps.slice(0, index) })))(
    'Ctrl-C at "$question" is exit 130, and nothing is stored',
    async ({ question, before }) => {
      const gitea = await startGitea();
      const sandbox = createSandbox();
      const token = sandbox.guard(addToken(gitea, usualScopes));
      const args = ['link', 'gitea', '--host', gitea.url];
      const run = await converse(sandbox, args, [...before, [question, interrupt]], { TOKEN: token });
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
    const run = await converse(sandbox, ['link', 'gitea', '--host', gitea.url], dialogue, { TOKEN: token });
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
      const run = await timed(converse(sandbox, args, [[waiting, interrupt]], { TOKEN: token }));
      expect(run).toMatchObject({ exitCode: 130 });
      expect(gitea.requests).toEqual([]);
      expect(run.durationMs).toBeLessThan(6_000);
    },
  );
});
