import { describe, expect, test } from 'vitest';
import { HostAnswerError } from '../../src/http/host-answer-error.ts';
import { githubProvider } from '../../src/providers/github/index.ts';
import { signInKind } from '../../src/providers/provider.ts';
import { Secret } from '../../src/secret.ts';
import { requireUser } from '../simulators/github/state.ts';
import { storeToken } from '../simulators/github/token-state.ts';
import type { GithubSimulatorOptions } from '../simulators/github/server.ts';
import { cloud, linkGithub, oauth, startGithub } from './github-kit.ts';
import { createSession } from './provider-kit.ts';

describe('signing in at GitHub', () => {
  test('uses the addresses of its web, never those of its API (§1.1)', () => {
    expect(oauth.toEndpoints({ host: 'https://acme.ghe.com' })).toEqual({
      authorization: 'https://acme.ghe.com/login/oauth/authorize',
      token: 'https://acme.ghe.com/login/oauth/access_token',
      device: 'https://acme.ghe.com/login/device/code',
      revocation: null,
    });
    expect(oauth.redirect).toEqual({ host: '127.0.0.1', path: '/callback', port: null });
  });

  test('§0 no. 8: a refresh token that is spent is spent, and is never sent again', () => {
    expect(oauth.refresh).toMatchObject({
      spent: [{ error: 'bad_refresh_token' }],
      secondTryAfterMs: null,
      forgivesLostAnswer: false,
    });
  });

  test('§0 no. 4 and 5: a person registers a client with a secret, and ticks the box for codes', () => {
    const { url, fields } = oauth.registration('https://github.com', 'http://127.0.0.1/callback');
    expect(url).toBe('https://github.com/settings/applications/new');
    expect(Object.fromEntries(fields)).toMatchObject({
      'Authorization callback URL': 'http://127.0.0.1/callback',
      'Enable Device Flow': 'ticked',
    });
    expect(oauth.clientAuthentication).toBe('post');
  });

  test.each([
    ['redirect_uri_mismatch', 'usage', 'http://127.0.0.1/callback'],
    ['device_flow_disabled', 'forbidden', 'Enable Device Flow'],
    ['incorrect_client_credentials', 'auth', 'client id'],
    ['application_suspended', 'forbidden', 'settings'],
    ['unverified_user_email', 'forbidden', '/settings/emails'],
  ])('%s is explained', (error, code, word) => {
    const explained = oauth.explainRefusal?.('https://github.com', { error, description: null });
    expect(explained?.code).toBe(code);
    expect(explained?.hint).toContain(word);
  });

  test('what is no special error is left to the standard', () => {
    expect(
      oauth.explainRefusal?.('https://github.com', { error: 'access_denied', description: null }),
    ).toBeNull();
  });
});

/** A sign-in of ada's by an OAuth App. */
async function startSignedIn(options: GithubSimulatorOptions = cloud) {
  const github = await startGithub(options);
  const session = createSession(githubProvider);
  const application = github.oauth.addApplication();
  const { secret } = storeToken(github.state, Date.now(), {
    kind: 'oauth',
    name: 'canary',
    user: requireUser(github.state, 'ada'),
    scopes: ['repo'],
    client: application,
  });
  const access = session.open(github.url, secret, { kind: signInKind });
  const client = { id: application.clientId, secret: new Secret(application.clientSecret) };
  const tokens = { accessToken: access.credential.token, refreshToken: null };
  const end = (by: { id: string; secret: Secret | null }) =>
    Promise.resolve(oauth.endSignIn?.(session.open(github.url, null).http, by, tokens));
  return { github, session, access, client, end };
}

describe('ending a sign-in at GitHub', () => {
  test.each([
    ['github.com', cloud],
    ['an Enterprise Server', {}],
  ])('is done by a client with its secret at %s', async (_name, options) => {
    const { session, access, client, end } = await startSignedIn(options);
    await githubProvider.identify(access);
    expect(await end(client)).toEqual({ outcome: 'revoked' });
    expect(await session.fail(githubProvider.identify(access))).toMatchObject({ code: 'auth' });
    expect(await end(client)).toEqual({ outcome: 'alreadyDead' });
  });

  test('§0 no. 9: without a secret it is done as by anybody who found the token, on github.com', async () => {
    const { github, session, access, client, end } = await startSignedIn();
    expect(await end({ ...client, secret: null })).toEqual({ outcome: 'revoked' });
    expect(await session.fail(githubProvider.identify(access))).toMatchObject({ code: 'auth' });
    const sent = github.requests.find(({ path }) => path.endsWith('/credentials/revoke'));
    expect(sent?.headers).not.toHaveProperty('authorization');
  });

  test('an Enterprise Server has no such way, and its page is named', async () => {
    const { github, access, client, end } = await startSignedIn({});
    expect(await end({ ...client, secret: null })).toMatchObject({
      outcome: 'impossible',
      pageUrl: `${github.url}/settings/applications`,
    });
    await githubProvider.identify(access);
  });

  test('a wrong secret ends nothing, and is no reason to call the sign-in dead', async () => {
    const { access, client, end } = await startSignedIn();
    const outcome = await end({ ...client, secret: new Secret('wrong-secret-canary') });
    expect(outcome?.outcome).toBe('impossible');
    await githubProvider.identify(access);
  });
});

describe('ending a pasted token at GitHub', () => {
  test.each(['classic', 'fineGrained'] as const)(
    '§0 no. 9: reports a %s one without a credential',
    async (kind) => {
      const { access, github } = await linkGithub(cloud, { kind });
      expect(await githubProvider.revoke?.(access)).toEqual({ outcome: 'revoked' });
      const sent = github.requests.find(({ path }) => path.endsWith('/credentials/revoke'));
      expect(sent?.headers).not.toHaveProperty('authorization');
      expect(await githubProvider.revoke?.(access)).toEqual({ outcome: 'alreadyDead' });
    },
  );

  test('one of before 2021 can only be ended on its page', async () => {
    const { access, github } = await linkGithub(cloud, { kind: 'legacy' });
    expect(await githubProvider.revoke?.(access)).toMatchObject({
      outcome: 'impossible',
      pageUrl: `${github.url}/settings/tokens`,
    });
  });

  test('a host that fails is no host without a way', async () => {
    const { access, github, session } = await linkGithub(cloud);
    github.faults.add({
      fault: { kind: 'answer', answer: { status: 500, json: { message: 'no' } } },
      method: 'POST',
    });
    const error = await session.fail(Promise.resolve(githubProvider.revoke?.(access)));
    expect(error).toBeInstanceOf(HostAnswerError);
  });
});
