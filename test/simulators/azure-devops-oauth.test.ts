import { describe, expect, test } from 'vitest';
import { visit } from '../support/browser.ts';
import { zeroGuid } from './azure-devops/state.ts';
import { resourceId } from './azure-devops/token-state.ts';
import { callBy, start, startUnderOwnNames, textWith } from './azure-devops-kit.ts';
import {
  askPerson,
  authorizeUrl,
  claimsOf,
  codeScope,
  coded,
  post,
  redirect,
  refresh,
  signIn,
  tenantOf,
  toCodeForm,
  withoutSecret,
} from './azure-devops-oauth-kit.ts';
import { sendRequest } from './send-request.ts';

const connection = '/acme/_apis/connectionData';

describe('in the browser', () => {
  test('a sign-in gives a JWT for the services, a long refresh token and an id token of the tenant', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const callback = await askPerson(authorizeUrl(simulator, application));
    expect(callback.get('state')).toBe('canary-state');
    expect(callback.has('iss')).toBe(false);
    const { json } = await post(simulator, 'token', toCodeForm(application, callback.get('code') ?? ''));
    const tokens = json as Record<string, string>;
    expect(tokens).toMatchObject({ token_type: 'Bearer', scope: codeScope, expires_in: 4500 });
    const tenant = tenantOf(simulator);
    expect(claimsOf(tokens['access_token'] ?? '')).toMatchObject({
      aud: resourceId,
      tid: tenant,
      scp: 'vso.code_write',
      upn: 'ada@acme.test',
      appid: application.clientId,
    });
    expect(tokens['access_token']?.length).toBeGreaterThan(1500);
    expect(tokens['refresh_token']?.length).toBeGreaterThan(1000);
    expect(claimsOf(tokens['id_token'] ?? '')).toMatchObject({
      iss: `${simulator.url}/login/${tenant}/v2.0`,
      aud: application.clientId,
      tid: tenant,
    });
    const call = callBy(simulator, `Bearer ${tokens['access_token'] ?? ''}`);
    expect((await call(connection)).status).toBe(200);
    expect((await call('/acme/_apis/git/repositories')).status).toBe(200);
    expect(simulator.oauth.countExchanges('authorization_code')).toBe(1);
    simulator.assertNoFailures();
  });

  test('without offline_access no refresh token, without openid no id token', async () => {
    const simulator = await start();
    const tokens = await signIn(simulator, simulator.oauth.addApplication(), { scope: codeScope });
    expect(tokens).not.toHaveProperty('refresh_token');
    expect(tokens).not.toHaveProperty('id_token');
  });

  test('.default stands for the permissions of the registration, and for nothing beside it', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication({ permissions: ['vso.code', 'vso.project'] });
    const scope = `${resourceId}/.default`;
    const tokens = await signIn(simulator, application, { scope });
    expect(claimsOf(tokens.access_token)).toMatchObject({ scp: 'vso.code vso.project' });
    expect(tokens.scope.split(' ')).toContain(`${resourceId}/vso.code`);
    const refused = await askPerson(authorizeUrl(simulator, application, { scope: `${scope} ${codeScope}` }));
    expect(refused.get('error')).toBe('invalid_scope');
  });

  test.each([
    ['no resource', 'vso.code'],
    ['no such scope', `${resourceId}/vso.everything`],
    ['nothing of Azure DevOps', 'openid offline_access'],
  ])('a wish for %s is refused', async (_, scope) => {
    const simulator = await start();
    const callback = await askPerson(authorizeUrl(simulator, simulator.oauth.addApplication(), { scope }));
    expect(callback.get('error_description')).toContain('AADSTS70011');
  });

  test('a person who says no, and one who may not say yes', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const denied = await askPerson(authorizeUrl(simulator, application), 'deny');
    expect(denied.get('error')).toBe('access_denied');
    expect(denied.get('error_description')).toContain('AADSTS65004');
    expect(denied.get('state')).toBe('canary-state');
    application.needsAdministrator = true;
    const held = await askPerson(authorizeUrl(simulator, application));
    expect([held.get('error'), held.get('error_description')]).toEqual([
      'access_denied',
      textWith('AADSTS90094'),
    ]);
  });

  test('the redirect: any port at localhost, and nothing else of it may differ', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication({ redirectUris: ['http://localhost/callback'] });
    const open = (redirect_uri: string) =>
      visit(authorizeUrl(simulator, application, { redirect_uri }), 'leave');
    expect((await open('http://localhost:1/callback')).status).toBe(200);
    for (const wrong of [
      'http://localhost:1/',
      'http://127.0.0.1:1/callback',
      'https://localhost:1/callback',
    ]) {
      const page = await open(wrong);
      expect([page.status, page.text]).toEqual([400, textWith('AADSTS50011')]);
    }
  });

  test('unknown clients, and those of another tenant', async () => {
    const simulator = await start();
    const foreign = simulator.oauth.addApplication({ tenant: tenantOf(simulator, 'eve') });
    const unknown = { ...foreign, clientId: zeroGuid };
    for (const application of [foreign, unknown]) {
      expect((await visit(authorizeUrl(simulator, application), 'leave')).text).toContain('AADSTS700016');
    }
  });

  test('the tenant: the zero GUID, an unknown one, another than the person’s, any', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const open = (tenant: string) => visit(authorizeUrl(simulator, application, {}, tenant), 'leave');
    expect((await open(zeroGuid)).text).toContain('AADSTS900021');
    expect((await open(application.clientId)).text).toContain('AADSTS90002');
    expect((await open(tenantOf(simulator, 'eve'))).text).toContain('AADSTS50020');
    const { access_token } = await signIn(simulator, application, {}, 'organizations');
    expect(claimsOf(access_token)).toMatchObject({ tid: tenantOf(simulator) });
    simulator.oauth.person.signedInAs = 'mia';
    expect((await open('organizations')).text).toContain('AADSTS50020');
  });

  test('without PKCE by S256 a public client fails the test', async () => {
    const simulator = await start();
    const url = new URL(
      authorizeUrl(simulator, simulator.oauth.addApplication(), { response_mode: 'form_post' }),
    );
    url.searchParams.delete('code_challenge');
    url.searchParams.delete('code_challenge_method');
    await visit(url.href, 'leave');
    expect(() => simulator.assertNoFailures()).toThrow(/form_post[\s\S]*without PKCE/);
  });

  test('the discovery document leaves the tenant open where it is not known', async () => {
    const simulator = await start();
    const at = (tenant: string) =>
      sendRequest(`${simulator.url}/login/${tenant}/v2.0/.well-known/openid-configuration`);
    expect((await at('organizations')).json).toMatchObject({
      issuer: `${simulator.url}/login/{tenantid}/v2.0`,
    });
    const tenant = tenantOf(simulator);
    expect((await at(tenant)).json).toMatchObject({ issuer: `${simulator.url}/login/${tenant}/v2.0` });
    expect((await at(zeroGuid)).status).toBe(400);
  });
});

describe('codes', () => {
  test.each<[string, Record<string, string>, number, string]>([
    [
      'another verifier',
      { code_verifier: 'canary-another-verifier-of-forty-three-letters' },
      501481,
      'invalid_grant',
    ],
    ['no such code', { code: 'canary' }, 70000, 'invalid_grant'],
    ['no such client', { client_id: zeroGuid }, 700016, 'unauthorized_client'],
    ['a secret of a public client', { client_secret: 'canary' }, 700025, 'invalid_client'],
    ['another grant', { grant_type: 'password' }, 70003, 'unsupported_grant_type'],
  ])('%s', async (_, changes, code, error) => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const callback = await askPerson(authorizeUrl(simulator, application));
    const form = { ...toCodeForm(application, callback.get('code') ?? ''), ...changes };
    const { status, json } = await post(simulator, 'token', form);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(json).toMatchObject(coded(code, error));
    expect(simulator.oauth.tokenRequests).toEqual([{ grantType: form.grant_type, error }]);
  });

  test('a code is good once, at its own tenant', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const callback = await askPerson(authorizeUrl(simulator, application));
    const form = toCodeForm(application, callback.get('code') ?? '');
    const elsewhere = await post(simulator, 'token', form, tenantOf(simulator, 'eve'));
    expect(elsewhere.json).toMatchObject(coded(700005, 'invalid_grant'));
    expect((await post(simulator, 'token', form)).status).toBe(200);
    expect((await post(simulator, 'token', form)).json).toMatchObject(coded(54005, 'invalid_grant'));
    expect((await post(simulator, 'token', form, zeroGuid)).json).toMatchObject(
      coded(900021, 'invalid_request'),
    );
  });

  test('a confidential client proves itself', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication({ confidential: true });
    const callback = await askPerson(authorizeUrl(simulator, application));
    const form = toCodeForm(application, callback.get('code') ?? '');
    const missing = await post(simulator, 'token', withoutSecret(form));
    expect([missing.status, missing.json]).toMatchObject([401, coded(7000218, 'invalid_client')]);
    const wrong = await post(simulator, 'token', { ...form, client_secret: 'canary' });
    expect([wrong.status, wrong.json]).toMatchObject([401, coded(7000215, 'invalid_client')]);
    expect((await post(simulator, 'token', form)).status).toBe(200);
  });
});

describe('refreshing', () => {
  test('gives a new pair and leaves the old one as it was', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication();
    const first = await signIn(simulator, application);
    const answers: Record<string, string>[] = [];
    for (let round = 0; round < 2; round += 1) {
      const { status, json } = await refresh(simulator, application, first.refresh_token);
      expect(status).toBe(200);
      answers.push(json as Record<string, string>);
    }
    const secrets = [...answers.map((json) => json['refresh_token']), first.refresh_token];
    expect(new Set(secrets).size).toBe(3);
    for (const secret of [first.access_token, ...answers.map((json) => json['access_token'])]) {
      expect((await callBy(simulator, `Bearer ${secret ?? ''}`)(connection)).status).toBe(200);
    }
    expect(simulator.oauth.listRefreshTokens()).toHaveLength(3);
    const less = await refresh(simulator, application, first.refresh_token, { scope: codeScope });
    expect(less.json).toMatchObject({ scope: codeScope });
    simulator.assertNoFailures();
  });

  test('ends with a new password, after 90 days, at another tenant or as a test likes', async () => {
    const simulator = await start();
    const { oauth, settings } = simulator;
    const application = oauth.addApplication();
    const { refresh_token: token } = await signIn(simulator, application);
    const elsewhere = await refresh(simulator, application, token, {}, tenantOf(simulator, 'eve'));
    expect(elsewhere.json).toMatchObject({ error_codes: [50020] });
    const other = oauth.addApplication();
    expect((await refresh(simulator, other, token)).json).toMatchObject(coded(70000, 'invalid_grant'));
    oauth.refuseRefreshes(65001);
    expect((await refresh(simulator, application, token)).json).toMatchObject({
      ...coded(65001, 'invalid_grant'),
      suberror: 'consent_required',
    });
    oauth.refuseRefreshes(null);
    settings.clockOffsetMs = 91 * 86_400_000;
    expect((await refresh(simulator, application, token)).json).toMatchObject(coded(700082, 'invalid_grant'));
    settings.clockOffsetMs = 0;
    expect((await refresh(simulator, application, token)).status).toBe(200);
    await oauth.endSignIns('ada');
    expect((await refresh(simulator, application, token)).json).toMatchObject(coded(70000, 'invalid_grant'));
  });

  test('access tokens end by the clock alone', async () => {
    const simulator = await start();
    const { access_token } = await signIn(simulator, simulator.oauth.addApplication());
    const call = callBy(simulator, `Bearer ${access_token}`);
    simulator.settings.clockOffsetMs = 4_501_000;
    expect((await call(connection)).status).toBe(401);
    simulator.settings.clockOffsetMs = 0;
    simulator.oauth.endAccessTokens();
    expect((await call(connection)).status).toBe(401);
  });
});

test('under its own name Entra has no prefix, and devices are sent to microsoft.com', async () => {
  const { simulator, authority } = await startUnderOwnNames({ person: { consent: 'approve' } });
  const application = simulator.oauth.addApplication();
  const host = 'login.microsoftonline.com';
  const send = (path: string, cookie = '') =>
    sendRequest(`https://127.0.0.1:${simulator.port}${path}`, {
      ca: authority,
      headers: { host, 'sec-fetch-mode': 'navigate', ...(cookie === '' ? {} : { cookie }) },
    });
  const begin = new URL(authorizeUrl(simulator, application));
  let path = begin.pathname.replace('/login', '') + begin.search;
  const cookies: string[] = [];
  for (let step = 0; step < 5 && path.startsWith('/'); step += 1) {
    const { headers, status } = await send(path, cookies.join('; '));
    expect([302, 303]).toContain(status);
    cookies.push(...(headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0] ?? ''));
    const next = new URL(headers.location ?? '', `https://${host}`);
    path = next.host === host ? next.pathname + next.search : next.href;
  }
  expect(path).toMatch(new RegExp(`^${redirect}\\?code=`));
  const { headers } = await sendRequest(`https://127.0.0.1:${simulator.port}/acme`, {
    ca: authority,
    headers: { host: 'dev.azure.com' },
  });
  expect(headers['www-authenticate']).toContain(`authorization_uri=https://${host}/${tenantOf(simulator)}`);
  simulator.assertNoFailures();
});
