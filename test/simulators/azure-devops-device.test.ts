import { describe, expect, test } from 'vitest';
import { visit } from '../support/browser.ts';
import { requireUser, zeroGuid } from './azure-devops/state.ts';
import { resourceId } from './azure-devops/token-state.ts';
import { callBy, start, textWith } from './azure-devops-kit.ts';
import {
  claimsOf,
  codeScope,
  coded,
  deviceGrant,
  post,
  tenantOf,
  withoutSecret,
} from './azure-devops-oauth-kit.ts';

describe('devices', () => {
  async function begin() {
    const simulator = await start();
    simulator.oauth.polls.intervalS = 0;
    const application = simulator.oauth.addApplication();
    const form = { client_id: application.clientId, scope: `${codeScope} offline_access` };
    const { json } = await post(simulator, 'devicecode', form);
    const device = json as Record<string, string>;
    const poll = (device_code = device['device_code'] ?? '') =>
      post(simulator, 'token', { grant_type: deviceGrant, client_id: application.clientId, device_code });
    return { simulator, application, device, poll, userCode: device['user_code'] ?? '' };
  }

  test('a device waits until somebody enters its code', async () => {
    const { simulator, device, poll, userCode } = await begin();
    expect(userCode).toMatch(/^[A-Z]{9}$/);
    expect(device).toMatchObject({ expires_in: 900, interval: 0, message: textWith(userCode) });
    expect(device).not.toHaveProperty('verification_uri_complete');
    expect((await poll()).json).toMatchObject(coded(70016, 'authorization_pending'));
    const page = await visit(`${device['verification_uri'] ?? ''}?otc=${userCode}`);
    expect(page.text).toContain('You have signed in');
    const { json } = await poll();
    expect(json).toMatchObject({ scope: codeScope, refresh_token: textWith('1.canary') });
    expect((await poll()).json).toMatchObject(coded(70018, 'bad_verification_code'));
    simulator.assertNoFailures();
  });

  test('declined, expired, unknown, and told to slow down', async () => {
    const { simulator, poll, userCode } = await begin();
    simulator.oauth.polls.slowDowns = 1;
    expect((await poll()).json).toMatchObject({ error: 'slow_down' });
    await simulator.oauth.decideDevice(userCode, 'deny');
    expect((await poll()).json).toMatchObject(coded(70019, 'authorization_declined'));
    expect((await poll('canary')).json).toMatchObject(coded(70018, 'bad_verification_code'));
    simulator.assertNoFailures();
  });

  test('a code that nobody entered in time', async () => {
    const { simulator, poll } = await begin();
    simulator.settings.clockOffsetMs = 901_000;
    expect((await poll()).json).toMatchObject(coded(70020, 'expired_token'));
  });

  test('people of another tenant, and clients without public flows', async () => {
    const { simulator, application, poll, userCode } = await begin();
    simulator.oauth.person.signedInAs = 'eve';
    await expect(simulator.oauth.decideDevice(userCode, 'approve')).rejects.toThrow('AADSTS50020');
    application.allowsPublicFlows = false;
    const refused = await poll();
    expect([refused.status, refused.json]).toMatchObject([401, coded(7000218, 'invalid_client')]);
  });

  test.each<[string, Record<string, string>, number]>([
    ['no scope', {}, 900144],
    ['a wrong scope', { scope: 'vso.code' }, 70011],
    ['an unknown client', { client_id: zeroGuid, scope: codeScope }, 700016],
  ])('%s', async (_, changes, code) => {
    const simulator = await start();
    const { clientId } = simulator.oauth.addApplication();
    const { json } = await post(simulator, 'devicecode', { client_id: clientId, ...changes });
    expect(json).toMatchObject({ error_codes: [code] });
  });

  test('one that asks too often fails the test', async () => {
    const { simulator, poll } = await begin();
    simulator.oauth.polls.intervalS = 5;
    await poll();
    await poll();
    expect(() => simulator.assertNoFailures()).toThrow(/before the interval was over/);
  });
});

describe('service principals', () => {
  test('sign in for themselves, in their tenant, for everything or nothing', async () => {
    const simulator = await start();
    const application = simulator.oauth.addApplication({ confidential: true, servicePrincipal: 'ci' });
    const form = {
      grant_type: 'client_credentials',
      client_id: application.clientId,
      client_secret: application.secret ?? '',
      scope: `${resourceId}/.default`,
    };
    const { json } = await post(simulator, 'token', form);
    expect(json).not.toHaveProperty('refresh_token');
    const claims = claimsOf(String(json['access_token']));
    expect(claims).toMatchObject({ idtyp: 'app', oid: requireUser(simulator.state, 'ci').objectId });
    expect(claims).not.toHaveProperty('scp');
    const call = callBy(simulator, `Bearer ${String(json['access_token'])}`);
    expect((await call('/acme/Platform/_apis/git/repositories')).status).toBe(200);
    expect((await call('/acme-labs/_apis/projects')).status).toBe(401);
    const ask = async (changes: Readonly<Record<string, string>>, tenant?: string) =>
      (await post(simulator, 'token', { ...form, ...changes }, tenant)).json;
    expect(await ask({ scope: codeScope })).toMatchObject(coded(1002012, 'invalid_scope'));
    expect(await ask({ client_secret: 'canary' })).toMatchObject(coded(7000215, 'invalid_client'));
    expect(await ask({}, tenantOf(simulator, 'eve'))).toMatchObject({ error_codes: [700016] });
    expect(await ask({}, 'organizations')).toMatchObject({ error_codes: [700016] });
    const open = simulator.oauth.addApplication();
    const refused = await post(simulator, 'token', withoutSecret({ ...form, client_id: open.clientId }));
    expect(refused.json).toMatchObject(coded(7000218, 'invalid_client'));
    simulator.assertNoFailures();
  });
});
