import { describe, expect, test } from 'vitest';
import { readLinks } from '../support/ask-git.ts';
import { visit } from '../support/browser.ts';
import {
  addDcClient,
  createSignedInDc,
  guardAll,
  linkDcArgs,
  startBitbucketDc,
} from '../support/linked-bitbucket.ts';
import { createSandbox } from '../support/sandbox.ts';
import type { BitbucketDcSimulatorOptions } from '../simulators/bitbucket-dc/server.ts';
import { runWithBrowser } from './sign-in-kit.ts';

const http = { requiresHttpsRedirect: false };

/** A Data Center with a client that the sandbox knows. */
async function createWithClient(options: BitbucketDcSimulatorOptions = {}) {
  const bitbucket = await startBitbucketDc(options);
  const sandbox = guardAll(createSandbox(), bitbucket);
  const application = await addDcClient(sandbox, bitbucket);
  return { bitbucket, sandbox, application };
}

describe('signing in at a Data Center that takes redirects to http', () => {
  test('below the context path; fact 10: the code is exchanged at once', async () => {
    const { bitbucket, sandbox, application } = await createWithClient({
      settings: { ...http, codeLifeS: 2 },
    });
    const run = await runWithBrowser(sandbox, linkDcArgs(bitbucket, '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.visit?.text).toContain('Signed in to');
    expect(run.json()).toMatchObject({
      link: { method: 'oauth', account: { login: 'ada', kind: 'user' }, host: bitbucket.url, status: 'ok' },
    });
    const exchange = bitbucket.requests.find(({ path }) => path === '/rest/oauth2/latest/token');
    expect(exchange?.body).toMatchObject({
      client_id: application.clientId,
      client_secret: application.clientSecret,
      redirect_uri: application.redirectUri,
    });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect((await sandbox.run(['repos'])).stdout).toContain('ACME/api');
  });

  test('a refused access token is renewed once, with the redirect; the new pair is kept', async () => {
    const { bitbucket, sandbox } = await createSignedInDc();
    bitbucket.oauth.endAccessTokens();
    const run = await sandbox.run(['repos']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    bitbucket.oauth.endAccessTokens();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
    expect(bitbucket.oauth.countExchanges('refresh_token')).toBe(2);
    expect(bitbucket.oauth.tokenRequests.filter(({ error }) => error !== null)).toEqual([]);
  });

  test('fact 5: 401 for what is not allowed does not renew the sign-in, and does not end it', async () => {
    const { bitbucket, sandbox } = await createSignedInDc({
      bitbucket: { settings: { hidesRepositories: false } },
    });
    const run = await sandbox.run(['restrict', '--repo', 'VAULT/secret', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 5 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
    expect(bitbucket.oauth.countExchanges('refresh_token')).toBeLessThan(2);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('a sign-in that a person ended: exit 4, and relink mends it', async () => {
    const { bitbucket, sandbox } = await createSignedInDc();
    for (const { accessToken, refreshToken } of bitbucket.state.oauth.sessions) {
      sandbox.guard(accessToken);
      sandbox.guard(refreshToken);
    }
    bitbucket.oauth.revokeGrants('ada');
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('gitlink relink bitbucket-dc');
    const relinked = await runWithBrowser(sandbox, ['relink']);
    expect(relinked, relinked.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('denied: exit 4, and nothing is kept', async () => {
    const { bitbucket, sandbox } = await createWithClient({ settings: http });
    const run = await runWithBrowser(sandbox, linkDcArgs(bitbucket, '--json'), {
      act: (url) => visit(url, 'deny'),
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(readLinks(sandbox)).toEqual([]);
  });
});

describe('fact 1: signing in at Data Center where it cannot work', () => {
  test('a server that demands HTTPS: its page says so, and the time ends it with the way out', async () => {
    const { bitbucket, sandbox, application } = await createWithClient();
    const run = await runWithBrowser(sandbox, linkDcArgs(bitbucket, '--timeout', '1', '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({ error: { code: 'auth' } });
    expect(run.visit?.text).toContain('must use https');
    expect(run.stderr).toContain(application.redirectUri);
    expect(run.stderr).toContain('Most servers demand HTTPS there');
    expect(run.stderr).toContain('gitlink link bitbucket-dc --method token');
    expect(bitbucket.oauth.tokenRequests).toEqual([]);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('a server older than 7.20 has none: exit 6 before a browser opens, and a token still links', async () => {
    const { bitbucket, sandbox } = await createWithClient({ version: '7.19.1', settings: http });
    const run = await runWithBrowser(sandbox, linkDcArgs(bitbucket, '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 6, visit: null });
    expect(run.stderr).toContain('--method token');
    const { secret } = bitbucket.addToken();
    const linked = await sandbox.run(linkDcArgs(bitbucket, '--with-token'), { input: secret });
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
  });

  test("without a client: exit 2 with the administrator's page, all that is entered there, and the caveat", async () => {
    const bitbucket = await startBitbucketDc();
    const sandbox = createSandbox();
    const run = await sandbox.run(linkDcArgs(bitbucket, '--method', 'oauth', '--json'), {
      env: { BROWSER: 'true' },
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    for (const value of [
      `${bitbucket.url}/plugins/servlet/applinks/listApplicationLinks`,
      'External application, incoming',
      'Redirect URL: http://127.0.0.1:34119/callback',
      'If HTTPS is demanded',
    ]) {
      expect(run.stderr).toContain(value);
    }
  });
});
