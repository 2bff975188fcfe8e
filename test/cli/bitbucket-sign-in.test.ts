import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { BitbucketSimulator } from '../simulators/bitbucket/server.ts';
import { askHelper, readLinks, toRequest } from '../support/ask-git.ts';
import { visit } from '../support/browser.ts';
import {
  createSignedIn,
  createWithConsumer,
  findFreePort,
  guardAll,
  linkArgs,
  startBitbucket,
} from '../support/linked-bitbucket.ts';
import { createSandbox } from '../support/sandbox.ts';
import { readPassword } from './refresh-hosts.ts';
import { shiftClock } from './refresh-kit.ts';
import { runWithBrowser } from './sign-in-kit.ts';

/** The access tokens of the sign-ins, oldest first. */
function listAccessTokens({ state }: BitbucketSimulator): readonly string[] {
  return [...state.tokens.values()].filter(({ kind }) => kind === 'oauth').map(({ secret }) => secret);
}

/** The refresh tokens that were used, and those that are good. */
function countRefreshTokens({ state, oauth }: BitbucketSimulator): { used: number; good: number } {
  const all = [...state.oauth.refreshTokens];
  return {
    used: all.filter(([, { usedAt }]) => usedAt !== null).length,
    good: all.filter(([secret]) => oauth.isAlive(secret)).length,
  };
}

/** Takes a port for the time of the test, or leaves it to whoever has it already. */
async function takePort(wish: number): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(wish));
    server.listen(wish, '127.0.0.1', () => {
      onTestFinished(() => void server.close());
      resolve((server.address() as AddressInfo).port);
    });
  });
}

describe('signing in at Bitbucket Cloud by a browser', () => {
  test('facts 2, 4, 6: code and PKCE, the consumer by Basic, Bearer at the API, tokens of 2,500 characters', async () => {
    const { sandbox, bitbucket, consumer } = await createWithConsumer();
    const run = await runWithBrowser(sandbox, linkArgs(bitbucket, '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.visit?.text).toContain('Signed in to');
    expect(run.json()).toMatchObject({
      link: {
        name: 'bitbucket',
        method: 'oauth',
        account: { login: 'ada', kind: 'user' },
        scopes: [...consumer.scopes].sort(),
        enforcement: 'none',
        status: 'ok',
        // The life of a token that is renewed is nobody's business, and when the sign-in ends nobody tells.
        expiresAt: null,
      },
    });
    const [accessToken = '', ...others] = listAccessTokens(bitbucket);
    expect(others).toEqual([]);
    expect(accessToken.length).toBeGreaterThan(2_400);
    expect(bitbucket.oauth.tokenRequests).toEqual([{ grantType: 'authorization_code', error: null }]);
    const atTokens = bitbucket.requests.find(({ path }) => path === '/site/oauth2/access_token');
    expect(atTokens?.authorization).toMatchObject({ scheme: 'basic', username: consumer.key });
    expect(Object.keys(atTokens?.body ?? {})).not.toContain('client_secret');
    const atApi = bitbucket.requests.filter(
      ({ path, authorization }) => path.startsWith('/2.0/') && authorization,
    );
    expect(atApi.length).toBeGreaterThan(0);
    for (const { authorization } of atApi) expect(authorization).toMatchObject({ scheme: 'bearer' });
  });

  test('the least scopes are asked for; one that the consumer lacks is exit 6 with where to tick it', async () => {
    const { sandbox, bitbucket } = await createWithConsumer({
      consumer: { scopes: ['account', 'repository'] },
    });
    const run = await runWithBrowser(sandbox, linkArgs(bitbucket, '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('OAuth consumers');
    expect(run.visit?.text).toContain('Not signed in');
    const less = await runWithBrowser(
      sandbox,
      linkArgs(bitbucket, '--json', '--scope', 'account', '--scope', 'repository'),
    );
    expect(less, less.stderr).toMatchObject({ exitCode: 0 });
    expect(less.stderr).toContain('The scope webhook is missing');
    expect(readLinks(sandbox)).toMatchObject([{ scopes: ['account', 'repository'] }]);
  });

  test('the old backend says "scopes" instead of "scope", and no user name: all is well', async () => {
    const settings = { saysScopes: true, tellsUsername: false };
    const { sandbox, consumer } = await createSignedIn({ bitbucket: { settings } });
    expect(readLinks(sandbox)).toMatchObject([{ scopes: [...consumer.scopes].sort(), status: 'ok' }]);
  });

  test('denied: exit 4, nothing is kept, and the page says so', async () => {
    const { sandbox, bitbucket } = await createWithConsumer();
    const run = await runWithBrowser(sandbox, linkArgs(bitbucket, '--json'), {
      act: (url) => visit(url, 'deny'),
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.visit?.text).toContain('Not signed in to');
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('a wrong secret: exit 4, naming what to compare', async () => {
    const { sandbox, bitbucket, consumer } = await createWithConsumer();
    consumer.secret = 'canary-another-secret-of-the-consumer';
    const run = await runWithBrowser(sandbox, linkArgs(bitbucket, '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('gitlink client list');
    expect(readLinks(sandbox)).toEqual([]);
  });
});

describe('the fixed redirect of a consumer', () => {
  test('without a flag it is 127.0.0.1:34119; a busy port is exit 2 with the way out, and no browser opens', async () => {
    const bitbucket = await startBitbucket();
    const sandbox = guardAll(createSandbox(), bitbucket);
    const { key, secret } = bitbucket.oauth.addApplication({ callbackPort: 34_119 });
    const port = await takePort(34_119);
    const args = ['client', 'add', 'bitbucket', '--host', bitbucket.url, '--client-id', key, '--with-secret'];
    expect(await sandbox.run(args, { input: secret })).toMatchObject({ exitCode: 0 });
    const run = await runWithBrowser(sandbox, linkArgs(bitbucket, '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 2, visit: null });
    expect(run.stderr).toContain(String(port));
    expect(run.stderr).toContain('--callback-port');
    expect(bitbucket.oauth.tokenRequests).toEqual([]);
  });

  test('--callback-port of the client is used by every later sign-in, and the flag of link goes before it', async () => {
    const { sandbox, bitbucket, consumer } = await createWithConsumer();
    const registered = new URL(consumer.callbackUrl ?? '').port;
    const run = await runWithBrowser(sandbox, linkArgs(bitbucket));
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(
      run.visit?.addresses.some((address) => address.startsWith(`http://127.0.0.1:${registered}/callback`)),
    ).toBe(true);
    const other = await findFreePort();
    consumer.callbackUrl = `http://127.0.0.1:${other}/callback`;
    const again = await runWithBrowser(sandbox, ['relink', '--callback-port', String(other)]);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('another port than the registered one: the page of Bitbucket stays, and the time ends it', async () => {
    const { sandbox, bitbucket } = await createWithConsumer();
    const port = String(await findFreePort());
    const args = linkArgs(bitbucket, '--callback-port', port, '--timeout', '1', '--json');
    const run = await runWithBrowser(sandbox, args);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.visit?.text).toContain('Invalid redirect_uri');
    expect(run.stderr).toContain(`http://127.0.0.1:${port}/callback`);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('a consumer without a callback: the host says so, and the time ends it', async () => {
    const { sandbox, bitbucket, consumer } = await createWithConsumer();
    consumer.callbackUrl = null;
    const run = await runWithBrowser(sandbox, linkArgs(bitbucket, '--timeout', '1', '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.visit?.text).toContain('No callback uri defined');
  });
});

describe('a consumer of Bitbucket Cloud', () => {
  const values = [
    '/account/workspaces/',
    'Settings > OAuth consumers > Add consumer',
    'Callback URL: http://127.0.0.1:34119/callback',
    'This is a private consumer: not ticked',
    'Webhooks: Read and write',
  ];

  test.each(['add', 'create'])(
    'client %s without what it takes: exit 2 with everything to enter',
    async (action) => {
      const bitbucket = await startBitbucket();
      const sandbox = createSandbox();
      const run = await sandbox.run(['client', action, 'bitbucket', '--host', bitbucket.url, '--json']);
      expect(run, run.stderr).toMatchObject({ exitCode: 2 });
      for (const value of values) expect(run.stderr).toContain(value);
    },
  );

  test('fact 5: no API registers one: with a token it is exit 6, and the port that was wished is shown', async () => {
    const bitbucket = await startBitbucket();
    const sandbox = guardAll(createSandbox(), bitbucket);
    const { secret } = bitbucket.addToken({ kind: 'api' });
    const args = ['client', 'create', 'bitbucket', '--host', bitbucket.url, '--callback-port', '40111'];
    const run = await sandbox.run([...args, '--with-token', '--json'], { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('http://127.0.0.1:40111/callback');
  });

  test('is listed and cannot be removed while a link needs it; the secret is printed nowhere', async () => {
    const { sandbox, consumer } = await createSignedIn();
    const { clients } = (await sandbox.run(['client', 'list', '--json'])).json<{ clients: unknown }>();
    expect(clients).toMatchObject([{ clientId: consumer.key, hasSecret: true, links: ['bitbucket'] }]);
    expect(await sandbox.run(['client', 'remove', '--yes'])).toMatchObject({ exitCode: 6 });
    expect(await sandbox.run(['unlink', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['client', 'remove', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8')).not.toContain(consumer.key);
  });

  test('fact 5: no codes: --method device is exit 6 with what there is', async () => {
    const { sandbox, bitbucket } = await createWithConsumer();
    const run = await sandbox.run(linkArgs(bitbucket, '--method', 'device', '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('--method oauth');
  });
});

describe('fact 3: a refresh token of Bitbucket works once', () => {
  test('a refused access token is renewed: a new pair is kept, the old one is used up', async () => {
    const { sandbox, bitbucket } = await createSignedIn();
    bitbucket.oauth.endAccessTokens();
    const run = await sandbox.run(['repos']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.stdout).toContain('acme/api');
    expect(bitbucket.oauth.countExchanges('refresh_token')).toBe(1);
    expect(countRefreshTokens(bitbucket)).toEqual({ used: 1, good: 1 });
    // The second renewal can only come from the new one.
    bitbucket.oauth.endAccessTokens();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
    expect(countRefreshTokens(bitbucket)).toEqual({ used: 2, good: 1 });
    expect(bitbucket.oauth.tokenRequests.filter(({ error }) => error !== null)).toEqual([]);
  });

  test('eight commands and helpers at once renew once', async () => {
    const { sandbox, bitbucket } = await createSignedIn();
    const env = shiftClock(sandbox, 3_600_000 - 30_000);
    const request = toRequest(`${bitbucket.url}/acme/api.git`);
    const runs = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6, 7].map((index) =>
        index % 2 === 0
          ? askHelper(sandbox, 'git-credential-gitlink', 'get', request, { env })
          : sandbox.run(['list', '--check'], { env }),
      ),
    );
    for (const run of runs) expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(bitbucket.oauth.countExchanges('refresh_token')).toBe(1);
    const passwords = runs.filter((_, index) => index % 2 === 0).map(readPassword);
    expect(new Set(passwords)).toEqual(new Set([listAccessTokens(bitbucket)[1]]));
  });

  test('an answer that was lost: within the grace the same token is sent again, and the link lives', async () => {
    const { sandbox, bitbucket } = await createSignedIn({ bitbucket: { settings: { refreshGraceS: 600 } } });
    bitbucket.oauth.endAccessTokens();
    bitbucket.oauth.spoilNextTokenAnswer((response) => response.destroy());
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(bitbucket.oauth.countExchanges('refresh_token')).toBe(2);
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test('without a grace the sign-in is over: exit 4, what mends it, and nothing is deleted', async () => {
    const { sandbox, bitbucket } = await createSignedIn();
    bitbucket.oauth.endAccessTokens();
    bitbucket.oauth.revokeGrants('ada');
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('gitlink relink bitbucket');
    expect(readLinks(sandbox)).toMatchObject([{ name: 'bitbucket', status: 'revoked' }]);
    const relinked = await runWithBrowser(sandbox, ['relink']);
    expect(relinked, relinked.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('a host that is away says nothing about the sign-in: exit 7, and later it is renewed', async () => {
    const { sandbox, bitbucket } = await createSignedIn();
    bitbucket.oauth.endAccessTokens();
    const heal = bitbucket.faults.add({ fault: { kind: 'cut' }, path: /^\/site\/oauth2\/access_token$/ });
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    heal();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  });

  test('rotate renews it, because there is nothing else to replace', async () => {
    const { sandbox, bitbucket } = await createSignedIn();
    const run = await sandbox.run(['rotate', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(countRefreshTokens(bitbucket)).toEqual({ used: 1, good: 1 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('git gets a token that lives, its end, and never the refresh token', async () => {
    const { sandbox, bitbucket } = await createSignedIn();
    bitbucket.oauth.endAccessTokens();
    const env = shiftClock(sandbox, 3_600_000);
    const run = await askHelper(
      sandbox,
      'git-credential-gitlink',
      'get',
      toRequest(`${bitbucket.url}/acme/api.git`),
      { env },
    );
    const [, renewed = ''] = listAccessTokens(bitbucket);
    expect(run.stdout).toContain('username=x-token-auth\n');
    expect(run.stdout).toContain(`password=${renewed}\n`);
    expect(run.stdout).toMatch(/^password_expiry_utc=\d+$/m);
    for (const secret of bitbucket.state.oauth.refreshTokens.keys()) expect(run.stdout).not.toContain(secret);
  });
});
