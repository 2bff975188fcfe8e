import { describe, expect, test } from 'vitest';
import { StorageError, UnreachableError, type AuthError } from '../../src/errors.ts';
import { signInByBrowser } from '../../src/oauth/authorization-code.ts';
import { createSpentError, refreshTokens, type RefreshOutcome } from '../../src/oauth/refresh.ts';
import {
  refreshUnderLock,
  type LockedRefresh,
  type RefreshSurroundings,
  type StoredTokens,
} from '../../src/oauth/refresh-under-lock.ts';
import type { TokenSet } from '../../src/oauth/token-set.ts';
import { Secret } from '../../src/secret.ts';
import { catchError, createVirtualClock } from '../http/http-kit.ts';
import { createFlow, createNetwork, createTokens, startServer, toClient } from './oauth-kit.ts';

/** A host whose refresh tokens are good for one use, a store, and a lock, as several processes share them. */
function createWorld(
  options: { readonly secondTryAfterMs?: number; readonly forgivesLostAnswer?: boolean } = {},
) {
  let valid = 1;
  let stored: StoredTokens = { tokens: toTokens(1), isRefreshUnfinished: false };
  let tail: Promise<unknown> = Promise.resolve();
  const world = {
    exchanges: 0,
    spent: [] as AuthError[],
    log: [] as string[],
    clock: createVirtualClock(),
    /** Called before every step of a process. */
    before: (() => Promise.resolve()) as (process: string, step: string) => Promise<void>,
    get stored(): StoredTokens {
      return stored;
    },
    set stored(next: StoredTokens) {
      stored = next;
    },
    get serverToken(): string {
      return `refresh-${valid}-canary`;
    },
    rotateElsewhere: () => (valid += 1),
    exchange(token: string): RefreshOutcome {
      if (token !== world.serverToken) return { outcome: 'spent', error: createSpentError('git.example') };
      valid += 1;
      world.exchanges += 1;
      return { outcome: 'refreshed', tokens: toTokens(valid) };
    },
    open(process: string, overrides: Partial<RefreshSurroundings> = {}): RefreshSurroundings {
      const step = async (name: string) => {
        await world.before(process, name);
        world.log.push(name);
      };
      return {
        host: 'git.example',
        clock: world.clock,
        signal: new AbortController().signal,
        rules: {
          secondTryAfterMs: options.secondTryAfterMs ?? null,
          forgivesLostAnswer: options.forgivesLostAnswer ?? false,
        },
        withLock: async (work) => {
          await step('ask for the lock');
          const turn = tail.then(() => work());
          tail = turn.catch(() => undefined);
          return turn;
        },
        read: async () => {
          await step('read');
          return stored;
        },
        isNeeded: (tokens) => tokens.accessToken.reveal() === 'access-1-canary',
        markUnfinished: async (isRefreshUnfinished) => {
          await step(`mark ${isRefreshUnfinished}`);
          stored = { ...stored, isRefreshUnfinished };
        },
        refresh: async (tokens) => {
          await step('send');
          const outcome = world.exchange(tokens.refreshToken.reveal());
          await step('receive');
          return outcome;
        },
        write: async (tokens) => {
          await step('write');
          stored = { tokens, isRefreshUnfinished: false };
        },
        markSpent: (error) => {
          world.spent.push(error);
          return Promise.resolve();
        },
        ...overrides,
      };
    },
  };
  return world;
}

function toTokens(generation: number): TokenSet {
  return createTokens({
    accessToken: new Secret(`access-${generation}-canary`),
    refreshToken: new Secret(`refresh-${generation}-canary`),
  });
}

function reveal(result: LockedRefresh): string {
  return result.outcome === 'usable' ? result.tokens.accessToken.reveal() : result.outcome;
}

const unreachable = new UnreachableError('The network is gone.');

describe('F4: refreshing under a lock', () => {
  test('64 processes at once: one exchange at a rotating server, 64 answers', async () => {
    const server = await startServer({ reuse: 'revokeGrant' });
    const signedIn = await signInByBrowser(createFlow(server));
    const world = createWorld();
    world.stored = { tokens: signedIn, isRefreshUnfinished: false };
    const rules = {
      spent: [{ error: 'invalid_grant' }],
      secondTryAfterMs: null,
      forgivesLostAnswer: false,
      parameters: {},
    };
    const results = await Promise.all(
      Array.from({ length: 64 }, (_, index) =>
        refreshUnderLock(
          world.open(String(index), {
            isNeeded: (tokens) => tokens.accessToken.equals(signedIn.accessToken),
            refresh: (tokens) => refreshTokens(toClient(server), createNetwork(), rules, tokens),
          }),
        ),
      ),
    );
    expect(server.tokenRequests.filter(({ grantType }) => grantType === 'refresh_token')).toHaveLength(1);
    expect(new Set(results.map(reveal)).size).toBe(1);
    expect(await server.isAlive(results.map(reveal)[0] ?? '')).toBe(true);
  });

  test('the order: lock, read, prove the store, send, store', async () => {
    const world = createWorld();
    const result = await refreshUnderLock(world.open('a'));
    expect(result).toMatchObject({ outcome: 'usable', isNew: true });
    expect(world.log).toEqual(['ask for the lock', 'read', 'mark true', 'send', 'receive', 'write']);
    expect(world.stored.isRefreshUnfinished).toBe(false);
  });

  test('what another process refreshed in the meantime is used, nothing is sent', async () => {
    const world = createWorld();
    world.stored = { tokens: toTokens(2), isRefreshUnfinished: false };
    expect(await refreshUnderLock(world.open('a'))).toMatchObject({ outcome: 'usable', isNew: false });
    expect(world.log).toEqual(['ask for the lock', 'read']);
  });

  test('a busy lock is its own error: nothing is read or sent', async () => {
    const world = createWorld();
    const busy = new StorageError('busy');
    const error = await catchError(
      refreshUnderLock(world.open('a', { withLock: () => Promise.reject(busy) })),
    );
    expect(error).toBe(busy);
    expect(world.log).toEqual([]);
  });

  test('a store that takes no write is found out before anything is sent', async () => {
    const world = createWorld();
    const full = new StorageError('The disk is full.');
    const error = await catchError(
      refreshUnderLock(world.open('a', { markUnfinished: () => Promise.reject(full) })),
    );
    expect(error).toBe(full);
    expect(world.exchanges).toBe(0);
  });

  test('a network fault changes nothing', async () => {
    const world = createWorld();
    const before = world.stored;
    const refresh = () =>
      Promise.resolve({ outcome: 'transient', error: unreachable, isAnswerLost: false } as const);
    expect(await refreshUnderLock(world.open('a', { refresh }))).toEqual({
      outcome: 'failed',
      error: unreachable,
    });
    expect(world.stored).toEqual(before);
    expect(world.log).toContain('mark false');
    expect(world.spent).toEqual([]);
  });

  test('a sign-in without a refresh token is spent, and nothing is sent', async () => {
    const world = createWorld();
    world.stored = { ...world.stored, tokens: { ...toTokens(1), refreshToken: null } };
    expect(await refreshUnderLock(world.open('a'))).toMatchObject({ outcome: 'spent' });
    expect(world.log).toEqual(['ask for the lock', 'read']);
    expect(world.spent).toHaveLength(1);
  });
});

describe('F5: interleavings', () => {
  test('two processes under the lock, in every order of steps: one exchange, one answer', async () => {
    for (const schedule of enumerateSchedules(9, 4)) {
      const world = createWorld();
      const results = await runScheduled(world, schedule, [world.open('a'), world.open('b')]);
      expect(results.map(reveal), schedule).toEqual(['access-2-canary', 'access-2-canary']);
      expect(world.exchanges, schedule).toBe(1);
      expect(world.spent, schedule).toEqual([]);
    }
  });

  test('a process without the lock beside one with it: the store always ends with the living token', async () => {
    for (const schedule of enumerateSchedules(12, 6)) {
      const world = createWorld({ secondTryAfterMs: 2_000 });
      const foreign = world.open('b', { withLock: (work) => work() });
      const results = await runScheduled(world, schedule, [world.open('a'), foreign]);
      expect(world.exchanges, schedule).toBe(1);
      expect(world.stored.tokens.refreshToken?.reveal(), schedule).toBe(world.serverToken);
      expect(results.map(reveal), schedule).toContain('access-2-canary');
    }
  });

  test('spent is not believed when the store has changed: the new token is used', async () => {
    const world = createWorld();
    world.rotateElsewhere();
    world.before = (_, step) => {
      if (step === 'receive') world.stored = { tokens: toTokens(2), isRefreshUnfinished: false };
      return Promise.resolve();
    };
    expect(await refreshUnderLock(world.open('a'))).toMatchObject({ outcome: 'usable', isNew: false });
    expect(world.spent).toEqual([]);
  });

  test('spent and nothing has changed: marked, nothing deleted', async () => {
    const world = createWorld();
    world.rotateElsewhere();
    const before = world.stored.tokens;
    const result = await refreshUnderLock(world.open('a'));
    expect(result).toMatchObject({
      outcome: 'spent',
      error: { message: expect.stringContaining('used') as string },
    });
    expect(world.spent).toHaveLength(1);
    expect(world.stored.tokens).toBe(before);
    expect(world.log.filter((step) => step === 'send')).toHaveLength(1);
    expect(world.clock.waits).toEqual([]);
  });

  test('where replicas may lag behind, there is one more try after the pause', async () => {
    const world = createWorld({ secondTryAfterMs: 2_000 });
    let tries = 0;
    const refresh: RefreshSurroundings['refresh'] = (tokens) => {
      tries += 1;
      return Promise.resolve(
        tries === 1
          ? { outcome: 'spent', error: createSpentError('git.example') }
          : world.exchange(tokens.refreshToken.reveal()),
      );
    };
    expect(await refreshUnderLock(world.open('a', { refresh }))).toMatchObject({
      outcome: 'usable',
      isNew: true,
    });
    expect(world.clock.waits).toEqual([2_000]);
    expect(world.stored.tokens.accessToken.reveal()).toBe('access-2-canary');
  });
});

describe('F6: lost answers and crashes', () => {
  const lost = { outcome: 'transient', error: unreachable, isAnswerLost: true } as const;

  test('a lost answer leaves a mark, and the next refusal says what happened', async () => {
    const world = createWorld();
    const refresh: RefreshSurroundings['refresh'] = (tokens) => {
      world.exchange(tokens.refreshToken.reveal());
      return Promise.resolve(lost);
    };
    expect(await refreshUnderLock(world.open('a', { refresh }))).toEqual({
      outcome: 'failed',
      error: unreachable,
    });
    expect(world.stored.isRefreshUnfinished).toBe(true);
    const next = await refreshUnderLock(world.open('b'));
    expect(next).toMatchObject({ outcome: 'spent', error: { exitCode: 4 } });
    expect(next.outcome === 'spent' && next.error.message).toContain('its answer was lost');
  });

  test('a host that forgives a lost answer is asked once more, others are not', async () => {
    for (const forgivesLostAnswer of [true, false]) {
      const world = createWorld({ forgivesLostAnswer });
      let tries = 0;
      const refresh: RefreshSurroundings['refresh'] = (tokens) => {
        tries += 1;
        return Promise.resolve(tries === 1 ? lost : world.exchange(tokens.refreshToken.reveal()));
      };
      const { outcome } = await refreshUnderLock(world.open('a', { refresh }));
      expect([outcome, tries]).toEqual(forgivesLostAnswer ? ['usable', 2] : ['failed', 1]);
    }
  });

  test.each(['read', 'mark true', 'send', 'receive', 'write'])(
    'killed before the step "%s": the next process has a usable sign-in or says what happened',
    async (fatal) => {
      const world = createWorld();
      world.before = (process, step) =>
        process === 'a' && step === fatal ? Promise.reject(new Error('killed')) : Promise.resolve();
      await expect(refreshUnderLock(world.open('a'))).rejects.toThrow('killed');
      const next = await refreshUnderLock(world.open('b'));
      const isLost = fatal === 'receive' || fatal === 'write';
      expect(reveal(next)).toBe(isLost ? 'spent' : 'access-2-canary');
      expect(next.outcome === 'spent' ? next.error.message : 'its answer was lost').toContain(
        'its answer was lost',
      );
    },
  );
});

/** All orders in which `picks` of `length` steps belong to the second process. */
function* enumerateSchedules(length: number, picks: number): Generator<string> {
  for (let bits = 0; bits < 2 ** length; bits += 1) {
    const text = bits.toString(2).padStart(length, '0');
    if (text.replaceAll('0', '').length === picks) yield text;
  }
}

/** Runs two processes step by step; where the one whose turn it is cannot go on, the other does. */
async function runScheduled(
  world: ReturnType<typeof createWorld>,
  schedule: string,
  processes: readonly [RefreshSurroundings, RefreshSurroundings],
): Promise<readonly LockedRefresh[]> {
  const waiting = new Map<string, () => void>();
  world.before = (process) => new Promise((resolve) => waiting.set(process, resolve));
  let running = 2;
  const results = Promise.all(
    processes.map((surroundings) => refreshUnderLock(surroundings).finally(() => (running -= 1))),
  );
  for (let turn = 0; running > 0; turn += 1) {
    // Lets everything settle that needs no turn, waits on the virtual clock included.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const wanted = schedule[turn] === '1' ? 'b' : 'a';
    const chosen = waiting.has(wanted) ? wanted : [...waiting.keys()][0];
    if (chosen === undefined) continue;
    const go = waiting.get(chosen);
    waiting.delete(chosen);
    go?.();
  }
  return results;
}
