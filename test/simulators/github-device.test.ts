import { describe, expect, test } from 'vitest';
import type { GithubSimulatorOptions } from './github/server.ts';
import { browse, formOf, installApp, sendForm, start } from './github-kit.ts';
import { askForTokens, refresh, type Tokens } from './github-oauth-kit.ts';
import type { GotResponse } from './send-request.ts';

const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';

/** A device that may ask, with a clock that tests move. */
async function startDevice(options: GithubSimulatorOptions = {}, deviceFlow = true) {
  const simulator = await start(options);
  const client = simulator.oauth.addApplication({ deviceFlow, expiresTokens: true });
  const begin = (changes: Readonly<Record<string, string>> = {}) =>
    sendForm(
      simulator,
      `${simulator.webUrl}/login/device/code`,
      { client_id: client.clientId, scope: 'repo', ...changes },
      { accept: 'application/json' },
    );
  const started = await begin();
  const codes = started.json as { device_code: string; user_code: string };
  const poll = (afterS: number, changes: Readonly<Record<string, string>> = {}) => {
    simulator.settings.clockOffsetMs += afterS * 1000;
    const form = { client_id: client.clientId, device_code: codes.device_code, grant_type, ...changes };
    return askForTokens(simulator, form);
  };
  return { simulator, client, begin, started, codes, poll };
}

function errorOf({ status, json }: GotResponse): unknown {
  expect(status).toBe(200);
  return (json as { error?: unknown }).error;
}

describe('a device', () => {
  test('is given codes, asks in its time, and gets tokens without a secret', async () => {
    const { simulator, client, started, codes, poll } = await startDevice();
    expect(started.json).toEqual({
      device_code: expect.stringMatching(/^\w{40}$/) as unknown,
      user_code: expect.stringMatching(/^[A-Z]{4}-[A-Z]{4}$/) as unknown,
      verification_uri: `${simulator.webUrl}/login/device`,
      expires_in: 900,
      interval: 5,
    });
    expect(errorOf(await poll(5))).toBe('authorization_pending');
    simulator.oauth.decideDevice(codes.user_code, 'approve');
    const { json } = await poll(5);
    expect(json).toMatchObject({ access_token: expect.stringMatching(/^gho_/) as unknown, scope: 'repo' });
    expect(errorOf(await poll(5))).toBe('incorrect_device_code');
    const renewed = await refresh(simulator, client, (json as Tokens).refresh_token, {});
    expect(renewed.json).toHaveProperty('access_token');
    simulator.assertNoFailures();
  });

  test('that asks too fast is told a longer pause, which holds from then on', async () => {
    const { simulator, poll } = await startDevice();
    expect((await poll(1)).json).toMatchObject({ error: 'slow_down', interval: 10 });
    expect((await poll(5)).json).toMatchObject({ error: 'slow_down', interval: 15 });
    expect(errorOf(await poll(15))).toBe('authorization_pending');
    simulator.oauth.polls.slowDowns = 1;
    expect((await poll(15)).json).toMatchObject({ error: 'slow_down', interval: 20 });
    simulator.assertNoFailures();
  });

  test("is refused, is too late, or is another's", async () => {
    const { simulator, codes, poll } = await startDevice();
    const other = simulator.oauth.addApplication({ deviceFlow: true });
    expect(errorOf(await poll(5, { client_id: other.clientId }))).toBe('incorrect_device_code');
    expect(errorOf(await poll(5, { client_id: 'canary-none' }))).toBe('incorrect_client_credentials');
    simulator.oauth.decideDevice(codes.user_code, 'deny');
    expect(errorOf(await poll(5))).toBe('access_denied');
    const late = await startDevice({ settings: { deviceCodeLifeS: 10 } });
    expect(errorOf(await late.poll(10))).toBe('expired_token');
    simulator.assertNoFailures();
  });

  test('of a client that did not switch it on gets nowhere, as apps by manifest', async () => {
    const { simulator, started, begin } = await startDevice({}, false);
    expect(errorOf(started)).toBe('device_flow_disabled');
    const { app } = installApp(simulator);
    expect(errorOf(await begin({ client_id: app.client.clientId }))).toBe('device_flow_disabled');
    expect((await begin({ client_id: 'canary-none' })).status).toBe(404);
    simulator.assertNoFailures();
  });

  test('its page: the code first, then a button', async () => {
    const { simulator, codes, poll } = await startDevice();
    const first = await browse(simulator, '/login/device');
    const wrong = await browse(simulator, formOf(first, 'Continue'), { user_code: 'ABCD-0000' });
    expect(wrong.status).toBe(422);
    const second = await browse(simulator, formOf(first, 'Continue'), { user_code: codes.user_code });
    expect(second.text).toContain('Signed in as ada');
    const done = await browse(simulator, formOf(second, 'Authorize'), { decision: 'approve' });
    expect(done.text).toContain('Congratulations');
    expect((await poll(5)).json).toHaveProperty('access_token');
    simulator.assertNoFailures();
  });
});
