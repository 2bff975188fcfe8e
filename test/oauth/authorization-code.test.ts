import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AuthError, CancelledError, StorageError, type GitlinkError } from '../../src/errors.ts';
import { signInByBrowser, type BrowserSignIn } from '../../src/oauth/authorization-code.ts';
import type { TokenSet } from '../../src/oauth/token-set.ts';
import { visit, type Visit } from '../support/browser.ts';
import type { OAuthServer } from '../support/oauth-server.ts';
import { catchError, listen } from '../http/http-kit.ts';
import {
  createDeferred,
  createFlow,
  createNetwork,
  createStoppedClock,
  startServer,
  toClient,
} from './oauth-kit.ts';
import { isPortFree, sendJunk, sendRaw } from './raw-client.ts';

/** Signs in with the browser of a few lines. */
async function signIn(
  server: OAuthServer,
  overrides: Partial<BrowserSignIn> = {},
  decision: 'approve' | 'deny' = 'approve',
): Promise<{ tokens: TokenSet | null; error: unknown; page: Visit }> {
  const page = createDeferred<Promise<Visit>>();
  const flow = createFlow(server, {
    openBrowser: (url) => {
      page.resolve(visit(url, decision));
      return Promise.resolve();
    },
    ...overrides,
  });
  const result = await signInByBrowser(flow).then(
    (tokens) => ({ tokens, error: null }),
    (error: unknown) => ({ tokens: null, error }),
  );
  return { ...result, page: await page.promise };
}

/** Starts a sign-in whose browser is the test itself. */
async function begin(server: OAuthServer, overrides: Partial<BrowserSignIn> = {}) {
  const opened = createDeferred<string>();
  const waiting = createDeferred<{ authorizationUrl: string; redirectUri: string }>();
  const done = signInByBrowser(
    createFlow(server, {
      openBrowser: (url) => {
        opened.resolve(url);
        return Promise.resolve();
      },
      onWaiting: (told) => waiting.resolve(told),
      ...overrides,
    }),
  );
  // Whoever asks for the outcome late must not count as nobody.
  done.catch(() => undefined);
  const { authorizationUrl, redirectUri } = await waiting.promise;
  const url = new URL(redirectUri);
  return {
    done,
    startUrl: await opened.promise,
    authorizationUrl,
    redirectUri,
    port: Number(url.port),
    state: new URL(authorizationUrl).searchParams.get('state') ?? '',
  };
}

describe('signing in by browser', () => {
  test('a person approves, the tokens are stored and work, the page says so', async () => {
    const server = await startServer();
    const stored: TokenSet[] = [];
    const { tokens, page } = await signIn(server, {
      store: (given) => {
        stored.push(given);
        return Promise.resolve();
      },
    });
    expect(stored).toEqual([tokens]);
    expect(tokens?.scopes).toEqual(['api', 'read_user']);
    expect(await server.isAlive(tokens?.accessToken.reveal() ?? '')).toBe(true);
    expect(page.text).toContain('Signed in to git.example');
    expect(new URL(page.url).pathname + new URL(page.url).search).toBe('/done');
  });

  test('a confidential client proves itself, a redirect to localhost works', async () => {
    const server = await startServer({ clientSecret: 'canary-client-secret-of-a-test' });
    const { tokens } = await signIn(server, {
      redirect: { host: 'localhost', path: '/callback', port: null },
    });
    expect(await server.isAlive(tokens?.accessToken.reveal() ?? '')).toBe(true);
  });

  test('A1: every authorization request carries a fresh S256 challenge, whatever parameters a provider adds', async () => {
    const server = await startServer();
    const seen = new Set<string>();
    for (let index = 0; index < 5; index += 1) {
      const controller = new AbortController();
      const flow = await begin(server, {
        network: createNetwork({ signal: controller.signal }),
        authorizationParameters: { prompt: 'select_account' },
      });
      const { searchParams } = new URL(flow.authorizationUrl);
      expect(searchParams.get('code_challenge_method')).toBe('S256');
      expect(searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/);
      expect(searchParams.get('response_type')).toBe('code');
      expect(searchParams.get('prompt')).toBe('select_account');
      seen.add(searchParams.get('code_challenge') ?? '').add(flow.state);
      controller.abort(new CancelledError());
      await expect(flow.done).rejects.toBeInstanceOf(CancelledError);
    }
    expect(seen.size).toBe(10);
    const replacing = createFlow(server, { authorizationParameters: { code_challenge_method: 'plain' } });
    await expect(signInByBrowser(replacing)).rejects.toThrow('may not replace');
  });

  test('A2: state and verifier have 256 bits each and never repeat', async () => {
    const server = await startServer();
    const asked: number[] = [];
    const states = new Set<string>();
    const { random } = createFlow(server);
    const counting = {
      ...random,
      bytes: (length: number) => {
        asked.push(length);
        return random.bytes(length);
      },
    };
    for (let index = 0; index < 50; index += 1) {
      const controller = new AbortController();
      const { state, done } = await begin(server, {
        random: counting,
        network: createNetwork({ signal: controller.signal }),
      });
      states.add(state);
      controller.abort(new CancelledError());
      await done.catch(() => undefined);
    }
    expect(states.size).toBe(50);
    expect([...states].every((state) => Buffer.from(state, 'base64url').length === 32)).toBe(true);
    expect(Math.min(...asked)).toBe(32);
  });

  test('A4: junk and half-open sockets during the wait change nothing', async () => {
    const server = await startServer();
    const flow = await begin(server);
    const halfOpen = await sendJunk(flow.port, flow.state, { requests: 400, sockets: 200 });
    onTestFinished(() => halfOpen.close());
    const page = await visit(flow.startUrl);
    expect(page.text).toContain('Signed in to git.example');
    await flow.done;
    expect(server.countExchanges('authorization_code')).toBe(1);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('A6: two flows at once each get their own callback', async () => {
    const server = await startServer();
    const [first, second] = await Promise.all([begin(server), begin(server)]);
    const foreign = await sendRaw(second.port, `/callback?code=foreign&state=${first.state}`);
    expect(foreign).toMatch(/^HTTP\/1.1 400 /);
    await Promise.all([visit(first.startUrl), visit(second.startUrl)]);
    const [one, other] = await Promise.all([first.done, second.done]);
    expect(one.accessToken.equals(other.accessToken)).toBe(false);
    expect(server.tokenRequests.map(({ error }) => error)).toEqual([null, null]);
  });

  test('A6: a busy fixed port is named, with the flag and the other ways', async () => {
    const server = await startServer();
    const port = await listen(createServer());
    const error = await catchError(
      signInByBrowser(createFlow(server, { redirect: { host: '127.0.0.1', path: '/callback', port } })),
    );
    expect(error).toMatchObject({ code: 'usage' });
    expect(error.message).toContain(String(port));
    expect((error as GitlinkError).hint).toMatch(/--callback-port.*token.*device/);
  });

  test('A9: a code whose issuer is another server is not redeemed anywhere', async () => {
    const [honest, attacker] = await Promise.all([startServer(), startServer()]);
    const flow = await begin(honest);
    const page = await visit(
      `${flow.redirectUri}?code=canary-code&state=${flow.state}&iss=${encodeURIComponent(attacker.issuer)}`,
    );
    await expect(flow.done).rejects.toThrow('Another server than git.example answered');
    expect(page.text).toContain('Not signed in');
    expect([...honest.tokenRequests, ...attacker.tokenRequests]).toEqual([]);
    expect([...honest.paths, ...attacker.paths]).toEqual([]);
  });

  test('A9: where the server is known to send its issuer, an answer without one is refused', async () => {
    const server = await startServer();
    const flow = await begin(server);
    await visit(`${flow.redirectUri}?code=canary-code&state=${flow.state}`);
    await expect(flow.done).rejects.toBeInstanceOf(AuthError);
    expect(server.paths).toEqual([]);
  });

  test('A9: where no issuer is known, one of the same origin is taken and any other is not', async () => {
    const server = await startServer();
    const client = { ...toClient(server), issuer: null, sendsIssuer: false };
    const { tokens } = await signIn(server, { client });
    expect(tokens).not.toBeNull();
    const flow = await begin(server, { client });
    await visit(`${flow.redirectUri}?code=canary-code&state=${flow.state}&iss=https://evil.example`);
    await expect(flow.done).rejects.toThrow('Another server');
  });

  test('A10: a person declines: exit 4, and the page says so', async () => {
    const server = await startServer();
    const { error, page } = await signIn(server, {}, 'deny');
    expect(error).toBeInstanceOf(AuthError);
    expect((error as AuthError).exitCode).toBe(4);
    expect(page.text).toContain('was declined');
    expect(server.tokenRequests).toEqual([]);
  });

  test.each([
    ['invalid_scope', 6],
    ['unauthorized_client', 4],
    ['temporarily_unavailable', 7],
    ['something_new', 4],
  ])('A10: the error %s ends with exit code %i', async (name, exitCode) => {
    const server = await startServer();
    const flow = await begin(server);
    const iss = encodeURIComponent(server.issuer);
    await visit(`${flow.redirectUri}?error=${name}&state=${flow.state}&iss=${iss}`);
    const error = await catchError(flow.done);
    expect(error).toMatchObject({ exitCode });
  });

  test('A10: a hostile description is escaped in the page and visible on the terminal', async () => {
    const server = await startServer();
    const flow = await begin(server);
    const description = '<script>alert(1)</script>\u001b]0;title\u0007 \u202e "https://evil.example"';
    const query = new URLSearchParams({
      error: 'access_denied',
      error_description: description,
      error_uri: 'https://evil.example',
      state: flow.state,
      iss: server.issuer,
    });
    const page = await visit(`${flow.redirectUri}?${query.toString()}`);
    const error = await catchError(flow.done);
    expect(page.text).not.toContain('<script');
    expect(page.text).not.toContain('<a');
    expect(page.text).toContain('&#60;script&#62;');
    expect(`${error.message}${page.text}`).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
    expect(error.message).toContain('\\x1b]0;title');
  });

  test('A12: the exchange fails: the page does not claim success', async () => {
    const server = await startServer();
    server.spoilNextTokenAnswer((response) => {
      response.writeHead(400, { 'Content-Type': 'application/json' });
      response.end('{"error":"invalid_grant"}');
    });
    const stored: unknown[] = [];
    const { error, page } = await signIn(server, {
      store: (tokens) => {
        stored.push(tokens);
        return Promise.resolve();
      },
    });
    expect(error).toMatchObject({ exitCode: 4 });
    expect(page.text).toContain('Not signed in to git.example');
    expect(stored).toEqual([]);
  });

  test('A12: the store fails: the page does not claim success, and waits until it is known', async () => {
    const server = await startServer();
    const storing = createDeferred<void>();
    const failing = createDeferred<void>();
    const flow = await begin(server, {
      store: async () => {
        storing.resolve();
        await failing.promise;
        throw new StorageError('The keychain is locked.');
      },
    });
    let isShown = false;
    const page = visit(flow.startUrl).finally(() => (isShown = true));
    await storing.promise;
    expect(isShown).toBe(false);
    failing.resolve();
    await expect(flow.done).rejects.toMatchObject({ exitCode: 8 });
    expect((await page).text).toContain('The keychain is locked.');
    expect((await page).text).toContain('Not signed in');
  });

  test('A13: the callback replayed 100 times in parallel is redeemed once', async () => {
    const server = await startServer({ consent: 'approve' });
    const storing = createDeferred<void>();
    const flow = await begin(server, { store: () => storing.promise });
    const stopped = await stopAtCallback(flow.startUrl, flow.port);
    const replays = Array.from({ length: 100 }, () => sendRaw(flow.port, stopped));
    const answers = await Promise.all(replays);
    expect(new Set(answers.map((answer) => answer.slice(0, 12)))).toEqual(new Set(['HTTP/1.1 303']));
    for (const path of ['/favicon.ico', '/', '/callback', '/callback?code=x'])
      expect(await sendRaw(flow.port, path)).toMatch(/^HTTP\/1.1 40[04] /);
    storing.resolve();
    await flow.done;
    expect(server.tokenRequests).toHaveLength(1);
  });

  test('A14: nobody comes: it ends after five minutes and nothing listens', async () => {
    const server = await startServer();
    const clock = createStoppedClock();
    const flow = await begin(server, { network: createNetwork({ clock }) });
    await visit(flow.startUrl, 'leave');
    expect(clock.waits).toEqual([300_000]);
    clock.elapse();
    const error = await catchError(flow.done);
    expect(error).toMatchObject({ exitCode: 4 });
    expect(error.message).toContain('within 5 min');
    expect(await isPortFree(flow.port)).toBe(true);
  });

  test('A14: a signal ends the wait at once, and nothing listens', async () => {
    const server = await startServer();
    const controller = new AbortController();
    const flow = await begin(server, { network: createNetwork({ signal: controller.signal }) });
    const reason = new CancelledError();
    controller.abort(reason);
    await expect(flow.done).rejects.toBe(reason);
    expect(await isPortFree(flow.port)).toBe(true);
  });

  test('A14: a token endpoint that does not answer is given up, and the page says so', async () => {
    const server = await startServer();
    server.spoilNextTokenAnswer(() => undefined);
    const { error, page } = await signIn(server, { network: createNetwork({ requestTimeoutMs: 300 }) });
    expect(error).toMatchObject({ exitCode: 7 });
    expect(page.text).toContain('Not signed in');
  });

  test('A15: the start address works once and is not the one with the state', async () => {
    const server = await startServer();
    const flow = await begin(server);
    expect(flow.startUrl).not.toContain(flow.state);
    const { port, pathname } = new URL(flow.startUrl);
    const first = await sendRaw(Number(port), pathname);
    expect(first).toMatch(/^HTTP\/1.1 303 /);
    expect(first).toContain(flow.state);
    const second = await sendRaw(Number(port), pathname);
    expect(second).toMatch(/^HTTP\/1.1 404 /);
    expect(second).not.toContain(flow.state);
  });

  test('A15: where the browser cannot be opened, the waiting goes on and says so', async () => {
    const server = await startServer();
    const told: boolean[] = [];
    const { tokens, page } = await (async () => {
      const pages = createDeferred<Promise<Visit>>();
      const result = await signInByBrowser(
        createFlow(server, {
          openBrowser: () => Promise.reject(new Error('no browser')),
          onWaiting: ({ isOpened, authorizationUrl }) => {
            told.push(isOpened);
            pages.resolve(visit(authorizationUrl));
          },
        }),
      );
      return { tokens: result, page: await pages.promise };
    })();
    expect(told).toEqual([false]);
    expect(page.text).toContain('Signed in');
    expect(await server.isAlive(tokens.accessToken.reveal())).toBe(true);
  });

  test('A16: without a browser here the redirect can be pasted, under the same checks', async () => {
    const server = await startServer({ consent: 'approve' });
    const problems: (string | null)[] = [];
    const begun = createDeferred<{ authorizationUrl: string; redirectUri: string }>();
    const tokens = await signInByBrowser(
      createFlow(server, {
        openBrowser: null,
        onWaiting: (waiting) => begun.resolve(waiting),
        askForRedirect: async (problem) => {
          const { authorizationUrl, redirectUri } = await begun.promise;
          problems.push(problem);
          if (problems.length === 1) return 'canary-code-alone';
          if (problems.length === 2) return `${redirectUri}?code=stolen&state=wrong`;
          return (
            redirectUri.replace('/callback', '') +
            (await stopAtCallback(authorizationUrl, portOf(redirectUri)))
          );
        },
      }),
    );
    expect(await server.isAlive(tokens.accessToken.reveal())).toBe(true);
    expect(problems).toEqual([
      null,
      expect.stringContaining('Paste the whole address'),
      'This address is not the answer to this sign-in.',
    ]);
    expect(await isPortFree(portOf((await begun.promise).redirectUri))).toBe(true);
  });

  test('A21: a redirect at the token endpoint is not followed', async () => {
    const [server, other] = await Promise.all([startServer(), startServer()]);
    server.spoilNextTokenAnswer((response) => {
      response.writeHead(307, { Location: other.tokenEndpoint }).end();
    });
    const { error } = await signIn(server);
    expect(error).toMatchObject({ exitCode: 7 });
    expect(other.paths).toEqual([]);
  });

  test('plain http is for this machine only', async () => {
    const server = await startServer();
    const client = { ...toClient(server), tokenEndpoint: 'http://git.example/oauth/token' };
    await expect(signInByBrowser(createFlow(server, { client }))).rejects.toMatchObject({ exitCode: 2 });
  });
});

function portOf(address: string): number {
  return Number(new URL(address).port);
}

/** Approves, and gives the path and query of the callback instead of going there. */
async function stopAtCallback(startUrl: string, port: number): Promise<string> {
  const { addresses } = await visit(startUrl, 'approve', (url) =>
    url.startsWith(`http://127.0.0.1:${port}/callback`),
  );
  const { pathname, search } = new URL(addresses.at(-1) ?? '');
  return pathname + search;
}
