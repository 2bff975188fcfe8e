import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { CancelledError } from '../../src/errors.ts';
import { signInByDevice, type DeviceCode, type DeviceSignIn } from '../../src/oauth/device-flow.ts';
import type { TokenSet } from '../../src/oauth/token-set.ts';
import {
  catchError,
  createVirtualClock,
  sendJson,
  startServer as startHttpServer,
} from '../http/http-kit.ts';
import { createNetwork, startServer, toClient } from './oauth-kit.ts';

const pending = { error: 'authorization_pending' };
const tokens = { access_token: 'canary-access', token_type: 'bearer' };

type Poll = Readonly<Record<string, unknown>> | ((response: ServerResponse) => void);

/** Signs in, on a clock that moves by waits alone, at a server that answers as the script says. */
async function play(
  polls: readonly Poll[],
  changes: Readonly<Record<string, unknown>> = {},
  overrides: Partial<DeviceSignIn> = {},
) {
  const clock = createVirtualClock();
  const askedAt: number[] = [];
  const server = await startHttpServer((request, response, index) => {
    const { origin } = new URL(server.base);
    if (request.url === '/device') {
      return sendJson(response, {
        device_code: 'canary-device-code',
        user_code: 'WDJB-MJHT',
        verification_uri: `${origin}/enter`,
        expires_in: 300,
        interval: 5,
        ...changes,
      });
    }
    askedAt.push(clock.monotonic());
    const answer = polls[index - 1] ?? pending;
    if (typeof answer === 'function') return answer(response);
    sendJson(response, answer, 'error' in answer ? 400 : 200);
  });
  const shown: DeviceCode[] = [];
  const stored: TokenSet[] = [];
  const done = signInByDevice({
    client: {
      host: 'git.example',
      issuer: null,
      sendsIssuer: false,
      tokenEndpoint: `${server.base}/token`,
      clientId: 'client',
      clientSecret: null,
      clientAuthentication: 'none',
    },
    network: createNetwork({ clock }),
    deviceEndpoint: `${server.base}/device`,
    scope: 'api',
    verificationOrigins: [server.base],
    show: (code) => {
      shown.push(code);
    },
    store: (given) => {
      stored.push(given);
      return Promise.resolve();
    },
    ...overrides,
  });
  const error = await done.then(
    () => null,
    (reason: unknown) => reason as Error,
  );
  const pauses = askedAt.map((at, index) => at - (askedAt[index - 1] ?? 0));
  return { error, shown, stored, pauses, clock, server };
}

describe('A17: signing in by device code', () => {
  test('the code is shown, the polls keep the interval, the tokens are stored', async () => {
    const { shown, stored, pauses, error, server } = await play([pending, pending, tokens], { interval: 7 });
    expect(error).toBeNull();
    expect(shown).toMatchObject([{ userCode: 'WDJB-MJHT', verificationUri: `${server.base}/enter` }]);
    expect(pauses).toEqual([7_000, 7_000, 7_000]);
    expect(stored.map(({ accessToken }) => accessToken.reveal())).toEqual(['canary-access']);
    expect(server.seen[1]?.body).toContain('device_code=canary-device-code');
  });

  test.each([
    ['no interval', undefined, 5_000],
    ['an interval of zero', 0, 5_000],
    ['a negative interval', -1, 5_000],
    ['an interval in words', 'often', 5_000],
    ['a tiny interval', 0.001, 1_000],
  ])('%s: polls are never too fast', async (_, interval, pauseMs) => {
    const { pauses } = await play([tokens], { interval });
    expect(pauses).toEqual([pauseMs]);
  });

  test('slow_down adds 5 s for good, or takes what the server asks if that is more', async () => {
    const polls = [
      pending,
      { error: 'slow_down' },
      pending,
      { error: 'slow_down', interval: 30 },
      pending,
      tokens,
    ];
    const { pauses } = await play(polls);
    expect(pauses).toEqual([5_000, 5_000, 10_000, 10_000, 30_000, 30_000]);
  });

  test.each([
    ['access_denied', 4],
    ['expired_token', 4],
    ['invalid_grant', 4],
    ['invalid_client', 4],
    ['incorrect_device_code', 4],
  ])('%s ends it with exit code %i', async (name, exitCode) => {
    const { error, stored, pauses } = await play([pending, { error: name }]);
    expect(error).toMatchObject({ exitCode });
    expect(stored).toEqual([]);
    expect(pauses).toHaveLength(2);
  });

  test('an error in a 200 ends it too', async () => {
    const { error } = await play([(response) => sendJson(response, { ...tokens, error: 'access_denied' })]);
    expect(error).toMatchObject({ exitCode: 4 });
  });

  test('it ends when the code does, without a late poll', async () => {
    const { error, pauses, clock } = await play([], { expires_in: 62, interval: 20 });
    expect(error?.message).toContain('not entered in time');
    expect(pauses).toEqual([20_000, 20_000, 20_000]);
    expect(clock.monotonic()).toBe(62_000);
  });

  test('network faults and 5xx make the polls rarer, then it goes on', async () => {
    const cut = (response: ServerResponse) => response.destroy();
    const broken = (response: ServerResponse) => sendJson(response, { error: 'oops' }, 502);
    const asked = (response: ServerResponse) => sendJson(response, {}, 503, { 'retry-after': '90' });
    const { pauses, error } = await play([cut, broken, asked, pending, tokens]);
    expect(error).toBeNull();
    expect(pauses).toEqual([5_000, 10_000, 20_000, 90_000, 5_000]);
  });

  test.each([
    'https://evil.example/device',
    'http://git.example/device',
    'javascript:alert(1)',
    'not an address',
    '',
    7,
    null,
  ])('the page %j is refused, and nothing is shown', async (address) => {
    const { error, shown, pauses } = await play([tokens], { verification_uri: address });
    expect(error).toMatchObject({ exitCode: 7 });
    expect(error?.message).toContain('not on the expected host');
    expect([...shown, ...pauses]).toEqual([]);
  });

  test('an address with the code from elsewhere is dropped', async () => {
    const { shown } = await play([tokens], { verification_uri_complete: 'https://evil.example/?code=WDJB' });
    expect(shown[0]?.verificationUriComplete).toBeNull();
  });

  test('a hostile code cannot reach the terminal', async () => {
    const { shown } = await play([tokens], { user_code: 'AB\u001b[2JCD' });
    expect(shown[0]?.userCode).toBe('AB\\x1b[2JCD');
  });

  test.each([
    ['no device code', { device_code: undefined }],
    ['an empty user code', { user_code: '' }],
    ['no life', { expires_in: undefined }],
    ['a life of zero', { expires_in: 0 }],
    ['an infinite life', { expires_in: '1e309' }],
  ])('an answer with %s is not understood', async (_, changes) => {
    const { error, shown } = await play([tokens], changes);
    expect(error).toMatchObject({ exitCode: 7 });
    expect(shown).toEqual([]);
  });

  test('a host without the flow is unsupported, with the other ways named', async () => {
    const server = await startServer();
    const unsupported = await catchError(
      signInByDevice({
        client: toClient(server),
        network: createNetwork(),
        deviceEndpoint: `${server.origin}/nowhere`,
        scope: null,
        verificationOrigins: [server.origin],
        show: () => undefined,
        store: () => Promise.resolve(),
      }),
    );
    expect(unsupported).toMatchObject({
      exitCode: 6,
      hint: expect.stringContaining('--method oauth') as string,
    });
  });

  test('A14: a signal ends the wait', async () => {
    const controller = new AbortController();
    const clock = createVirtualClock(false);
    const { error } = await play(
      [],
      {},
      {
        network: createNetwork({ clock, signal: controller.signal }),
        show: () => setImmediate(() => controller.abort(new CancelledError())),
      },
    );
    expect(error).toBeInstanceOf(CancelledError);
  });

  test.each(['approve', 'deny'] as const)('at a certified server: %s', async (decision) => {
    const server = await startServer();
    const clock = createVirtualClock();
    const stored: TokenSet[] = [];
    const deciding: Promise<void>[] = [];
    const error = await signInByDevice({
      client: toClient(server),
      network: createNetwork({ clock }),
      deviceEndpoint: server.deviceEndpoint,
      scope: 'api',
      verificationOrigins: [server.origin],
      show: ({ userCode }) => deciding.push(server.decideDevice(userCode, decision)),
      store: (given) => {
        stored.push(given);
        return Promise.resolve();
      },
    }).then(
      () => null,
      (reason: unknown) => reason,
    );
    await Promise.all(deciding);
    if (decision === 'deny') {
      expect(error).toMatchObject({ exitCode: 4 });
      expect(stored).toEqual([]);
    } else {
      expect(error).toBeNull();
      expect(await server.isAlive(stored[0]?.accessToken.reveal() ?? '')).toBe(true);
    }
  });
});
