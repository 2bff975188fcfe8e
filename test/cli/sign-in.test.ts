import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { visit } from '../support/browser.ts';
import { addToken, startGitea } from '../support/linked.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';
import { runWithBrowser } from './sign-in-kit.ts';

/** A sandbox that knows a client of a simulated Gitea, as `gitlink client add` leaves it. */
async function createWithClient(secret = true): Promise<{
  readonly sandbox: Sandbox;
  readonly gitea: GiteaSimulator;
  readonly clientId: string;
}> {
  const gitea = await startGitea();
  const sandbox = createSandbox();
  const { clientId, clientSecret } = gitea.oauth.addApplication();
  sandbox.guard(clientSecret);
  const args = ['client', 'add', 'gitea', '--host', gitea.url, '--client-id', clientId];
  const run = await sandbox.run(secret ? [...args, '--with-secret'] : args, { input: clientSecret });
  expect(run).toMatchObject({ exitCode: 0 });
  return { sandbox, gitea, clientId };
}

function linkArgs(gitea: GiteaSimulator, ...more: string[]): string[] {
  return ['link', 'gitea', '--host', gitea.url, ...more];
}

interface LinkDocument {
  readonly link: Readonly<Record<string, unknown>>;
}

describe('signing in with a browser', () => {
  test('A12, A20: approve: the link stands before the page says so, with account and scopes', async () => {
    const { sandbox, gitea } = await createWithClient();
    const run = await runWithBrowser(sandbox, linkArgs(gitea, '--json', '--namespace', 'acme'));
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.visit).toMatchObject({ status: 200 });
    expect(run.visit?.text).toContain('Signed in to');
    expect(run.json<LinkDocument>().link).toMatchObject({
      method: 'oauth',
      account: { login: 'ada', kind: 'user' },
      scopes: ['read:organization', 'read:user', 'write:repository'],
      restriction: { mode: 'restricted', namespaces: ['acme'] },
      status: 'ok',
    });
    expect(run.stderr).toContain('Signed in as ada.');
    expect(gitea.oauth.tokenRequests).toEqual([{ grantType: 'authorization_code', error: null }]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('without the secret of a client the scopes stay unknown, and everything else works', async () => {
    const { sandbox, gitea } = await createWithClient(false);
    const run = await runWithBrowser(sandbox, linkArgs(gitea, '--json'));
    expect(run.json<LinkDocument>().link).toMatchObject({ scopes: null, status: 'ok' });
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  });

  test('A10: deny: exit 4, nothing is kept, and the page says so', async () => {
    const { sandbox, gitea } = await createWithClient();
    const run = await runWithBrowser(sandbox, linkArgs(gitea, '--json'), {
      act: (url) => visit(url, 'deny'),
    });
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({ error: { code: 'auth' } });
    expect(run.visit?.text).toContain('Not signed in to');
    expect(readRecords(sandbox)).toMatchObject({ links: [], intents: [] });
  });

  test('A14: a closed browser: exit 4 after --timeout, with what gives more time', async () => {
    const { sandbox, gitea } = await createWithClient();
    const run = await runWithBrowser(sandbox, linkArgs(gitea, '--timeout', '1'), {
      act: () => Promise.resolve(null),
    });
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('--timeout');
    expect(readRecords(sandbox)).toMatchObject({ links: [], intents: [] });
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'A14: %s while the browser is open leaves nothing',
    async (signal) => {
      const { sandbox, gitea } = await createWithClient();
      let startUrl = '';
      const run = await runWithBrowser(sandbox, linkArgs(gitea), {
        act: (url, running) => {
          startUrl = url;
          running.kill(signal);
          return Promise.resolve(null);
        },
      });
      expect(run).toMatchObject({ exitCode: signal === 'SIGINT' ? 130 : 143 });
      await expect(visit(startUrl)).rejects.toThrow();
      expect(readRecords(sandbox)).toMatchObject({ links: [], intents: [] });
    },
  );

  test('A6: a port that is taken: exit 2, naming it and the flag', async () => {
    const { sandbox, gitea } = await createWithClient();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const run = await runWithBrowser(sandbox, linkArgs(gitea, '--callback-port', String(port)));
    expect(run).toMatchObject({ exitCode: 2, visit: null });
    expect(run.stderr).toContain(String(port));
    expect(run.stderr).toContain('--callback-port');
  });

  test('A12: a store that fails after the sign-in: exit 8, and the page does not say success', async () => {
    const { sandbox, gitea } = await createWithClient();
    const run = await runWithBrowser(sandbox, linkArgs(gitea), {
      act: async (url) => {
        await sandbox.runProgram('chmod', ['-w', sandbox.configDirectory]);
        await sandbox.runProgram('mkdir', ['-p', join(sandbox.home, 'x')]);
        await sandbox.runProgram('mv', [
          join(sandbox.configDirectory, 'secrets.vault'),
          join(sandbox.home, 'x'),
        ]);
        await sandbox.runProgram('mkdir', [join(sandbox.configDirectory, 'secrets.vault')]);
        return visit(url);
      },
    });
    expect(run).toMatchObject({ exitCode: 8 });
    expect(run.visit?.text).toContain('Not signed in to');
  });

  test('signing in is switched off at the host: exit 6, before a browser opens', async () => {
    const { sandbox, gitea } = await createWithClient();
    Object.assign(gitea.settings, { oauth2Enabled: false });
    const run = await runWithBrowser(sandbox, linkArgs(gitea));
    expect(run).toMatchObject({ exitCode: 6, visit: null });
    expect(run.stderr).toContain('--method token');
  });

  test('another scope string than before: exit 6, and the way out is named', async () => {
    const { sandbox, gitea, clientId } = await createWithClient();
    const own = await runWithBrowser(sandbox, linkArgs(gitea, '--scope', 'read:user'));
    expect(own).toMatchObject({ exitCode: 2, visit: null });
    // As an older gitlink, or another program with the same client, may have asked.
    await grantScope(gitea, clientId, 'read:user');
    const run = await runWithBrowser(sandbox, linkArgs(gitea));
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain(`Revoke it at ${gitea.url}/user/settings/applications`);
  });
});

describe('where no browser can be opened', () => {
  const noBrowser = { BROWSER: undefined, DISPLAY: undefined, WAYLAND_DISPLAY: undefined };

  test.each([
    ['CI', { CI: 'true' }, 'not interactive'],
    ['SSH', { SSH_CONNECTION: '192.0.2.1 5 192.0.2.2 22' }, '--no-browser'],
    ['no display', {}, '--no-browser'],
  ])('A16: %s: exit 2 with the other ways, at once', async (_name, env, expected) => {
    const { sandbox, gitea } = await createWithClient();
    const run = await sandbox.run(linkArgs(gitea, '--json'), { env: { ...noBrowser, ...env } });
    expect(run).toMatchObject({ exitCode: 2 });
    expect(JSON.stringify(run.json())).toContain(expected);
  });

  test('A15, A16: --no-browser shows the address and the port to forward', async () => {
    const { sandbox, gitea } = await createWithClient();
    let visited: Promise<unknown> = Promise.resolve();
    const run = await sandbox.run(linkArgs(gitea, '--no-browser', '--json'), {
      env: noBrowser,
      onStart: (running) => {
        visited = running.waitForTalk('comes back to port').then((talk) => {
          const address = /^ {2}(http\S+)$/m.exec(talk)?.[1] ?? '';
          return visit(address);
        });
      },
    });
    await visited;
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toMatch(/ssh -L (\d+):127\.0\.0\.1:\1/);
  });
});

describe('which client', () => {
  test('none known and no terminal: exit 2 with both ways', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const run = await sandbox.run(linkArgs(gitea, '--json'));
    expect(run).toMatchObject({ exitCode: 2 });
    const { error } = run.json<{ error: { hint: string } }>();
    expect(error.hint).toContain('--with-token');
    expect(error.hint).toContain('gitlink client add gitea');
  });

  test('of the environment; it is kept with the link, so that the sign-in can be renewed', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const { clientId, clientSecret } = gitea.oauth.addApplication();
    sandbox.guard(clientSecret);
    const env = { GITLINK_GITEA_CLIENT_ID: clientId, GITLINK_GITEA_CLIENT_SECRET: clientSecret };
    const run = await runWithBrowser(sandbox, linkArgs(gitea, '--json'), { env });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { clients } = (await sandbox.run(['client', 'list', '--json'])).json<{ clients: unknown[] }>();
    expect(clients).toMatchObject([{ clientId, hasSecret: true, links: ['gitea'] }]);
    gitea.oauth.endAccessTokens();
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect(gitea.oauth.countExchanges('refresh_token')).toBe(1);
  });

  test('several: exit 2 naming them; --client-id chooses', async () => {
    const { sandbox, gitea, clientId } = await createWithClient();
    const second = gitea.oauth.addApplication({ name: 'second' });
    sandbox.guard(second.clientSecret);
    const add = ['client', 'add', 'gitea', '--host', gitea.url, '--client-id', second.clientId];
    expect(await sandbox.run(add)).toMatchObject({ exitCode: 0 });
    const run = await runWithBrowser(sandbox, linkArgs(gitea));
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain(clientId);
    const chosen = await runWithBrowser(sandbox, linkArgs(gitea, '--client-id', second.clientId));
    expect(chosen, chosen.stderr).toMatchObject({ exitCode: 0 });
  });
});

describe('a link that gets another credential while it is in use', () => {
  test('two clients do not stand in the way of a token', async () => {
    const { sandbox, gitea } = await createWithClient();
    const second = gitea.oauth.addApplication({ name: 'second' });
    sandbox.guard(second.clientSecret);
    await sandbox.run(['client', 'add', 'gitea', '--host', gitea.url, '--client-id', second.clientId]);
    const token = sandbox.guard(addToken(gitea, ['read:user']));
    expect(await sandbox.run(linkArgs(gitea, '--with-token'), { input: token })).toMatchObject({
      exitCode: 0,
    });
  });

  test('Promise 2: what the new host issued never goes to the old one', async () => {
    const { sandbox, gitea } = await createWithClient();
    expect((await runWithBrowser(sandbox, linkArgs(gitea))).exitCode).toBe(0);
    const other = await startGitea();
    const { clientId, clientSecret } = other.oauth.addApplication();
    sandbox.guard(clientSecret);
    const add = ['client', 'add', 'gitea', '--host', other.url, '--client-id', clientId];
    await sandbox.run(add);
    gitea.setLatency(6_000);
    const listing = sandbox.run(['repos']);
    await expect.poll(() => gitea.requests.some(({ path }) => path.includes('/user/repos'))).toBe(true);
    const moved = await runWithBrowser(sandbox, [
      'relink',
      '--host',
      other.url,
      '--method',
      'oauth',
      '--no-revoke-old',
    ]);
    expect(moved, moved.stderr).toMatchObject({ exitCode: 0 });
    const known = gitea.requests.length;
    gitea.oauth.revokeGrants('ada');
    const run = await listing;
    // The old host's answer came before its grant ended, or the command stops: nothing new is sent there.
    expect([0, 8]).toContain(run.exitCode);
    expect(gitea.requests.slice(known).every(({ authorization }) => authorization?.tokenId !== null)).toBe(
      true,
    );
  });
});

describe('client', () => {
  test('create: the host registers it with a token that is not kept, and signing in works', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, ['write:user']));
    const args = ['client', 'create', 'gitea', '--host', gitea.url, '--with-token', '--json'];
    const created = await sandbox.run(args, { input: token });
    expect(created, created.stderr).toMatchObject({ exitCode: 0 });
    const { client } = created.json<{ client: { clientId: string } }>();
    expect(client).toMatchObject({ hasSecret: true, isOwnRegistration: true, links: [] });
    const run = await runWithBrowser(sandbox, linkArgs(gitea, '--json'));
    expect(run.json<LinkDocument>().link).toMatchObject({
      scopes: ['read:organization', 'read:user', 'write:repository'],
    });
  });

  test('create: a token without the scope: exit 6, naming it', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, ['read:user']));
    const args = ['client', 'create', 'gitea', '--host', gitea.url, '--with-token'];
    const run = await sandbox.run(args, { input: token });
    expect(run).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('write:user');
    expect((await sandbox.run(['client', 'list', '--json'])).json()).toMatchObject({ clients: [] });
  });

  test('remove: not while a link needs it; --at-host ends the sign-in', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, ['write:user']));
    const create = ['client', 'create', 'gitea', '--host', gitea.url, '--with-token'];
    await sandbox.run(create, { input: token });
    expect((await runWithBrowser(sandbox, linkArgs(gitea))).exitCode).toBe(0);
    const early = await sandbox.run(['client', 'remove', '--yes']);
    expect(early).toMatchObject({ exitCode: 6 });
    expect(early.stderr).toContain('gitlink unlink gitea');
    const unlinked = await sandbox.run(['unlink', '--yes', '--json']);
    const { remaining } = unlinked.json<{ remaining: { what: string; url: string }[] }>();
    expect(remaining).toMatchObject([{ url: `${gitea.url}/user/settings/applications` }]);
    expect(remaining[0]?.what).toContain('gitlink client remove');
    const removed = await sandbox.run(['client', 'remove', '--at-host', '--with-token', '--yes'], {
      input: token,
    });
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    expect(readRecords(sandbox)).toMatchObject({ links: [], clients: [], intents: [] });
    expect(gitea.state.oauth.applications.size).toBe(0);
  });
});

test('a link whose client has vanished says so, exit 4, and can be unlinked', async () => {
  const { sandbox, gitea } = await createWithClient();
  expect((await runWithBrowser(sandbox, linkArgs(gitea))).exitCode).toBe(0);
  const path = join(sandbox.configDirectory, 'links.json');
  writeFileSync(path, JSON.stringify({ ...readRecords(sandbox), clients: [] }));
  gitea.oauth.endAccessTokens();
  const run = await sandbox.run(['repos']);
  expect(run).toMatchObject({ exitCode: 4 });
  expect(run.stderr).toContain('gitlink relink gitea');
  expect(await sandbox.run(['unlink', '--yes'])).toMatchObject({ exitCode: 0 });
  expect(readRecords(sandbox)).toMatchObject({ links: [] });
});

describe('relink', () => {
  test('A20: another account is refused, and what was obtained is not kept', async () => {
    const { sandbox, gitea } = await createWithClient();
    expect((await runWithBrowser(sandbox, linkArgs(gitea))).exitCode).toBe(0);
    const before = readRecords(sandbox);
    Object.assign(gitea.oauth.person, { signedInAs: 'bob' });
    const run = await runWithBrowser(sandbox, ['relink', 'gitea']);
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('--allow-account-change');
    expect(run.visit?.text).toContain('Not signed in');
    expect(readRecords(sandbox)).toEqual(before);
  });

  test('from a token to a sign-in and back; the name and the restriction stay', async () => {
    const { sandbox, gitea } = await createWithClient();
    const token = sandbox.guard(addToken(gitea, ['read:user', 'read:organization', 'write:repository']));
    const linked = await sandbox.run(linkArgs(gitea, '--with-token', '--namespace', 'acme'), {
      input: token,
    });
    expect(linked).toMatchObject({ exitCode: 0 });
    const signedIn = await runWithBrowser(sandbox, ['relink', '--method', 'oauth', '--json']);
    expect(signedIn.json<LinkDocument>().link).toMatchObject({
      name: 'gitea',
      method: 'oauth',
      restriction: { namespaces: ['acme'] },
    });
    const back = await sandbox.run(['relink', '--with-token', '--json'], { input: token });
    expect(back.json<LinkDocument>().link).toMatchObject({ method: 'token' });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });
});

function readRecords(sandbox: Sandbox): Record<string, unknown> {
  return JSON.parse(readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8')) as Record<
    string,
    unknown
  >;
}

/** A person approves the client for these scopes. */
async function grantScope(gitea: GiteaSimulator, clientId: string, scope: string): Promise<void> {
  const query = new URLSearchParams({
    client_id: clientId,
    redirect_uri: 'http://127.0.0.1:9/callback',
    response_type: 'code',
    state: 'canary',
    scope,
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
  });
  await visit(`${gitea.url}/login/oauth/authorize?${query.toString()}`, 'approve', (url) =>
    url.includes(':9/'),
  );
}
