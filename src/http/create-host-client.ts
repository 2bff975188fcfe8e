import { setMaxListeners } from 'node:events';
import { ForeignAnswerError } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import { redact } from '../redaction.ts';
import type { Clock, Random } from '../runtime.ts';
import { createMemoryBudget, type Budget } from './budget.ts';
import { ConnectionFault, toUnreachableError } from './connection-fault.ts';
import { createGate, type Traveller, type WaitReason } from './gate.ts';
import { createHostAnswerError } from './host-answer-error.ts';
import type { Authorization, HostClient, HostRequest, HostResponse } from './host-client.ts';
import { defaultPacing, type Pacing } from './pacing.ts';
import { readRateLimit, type RateLimit } from './rate-limit.ts';
import { readAnswer } from './read-answer.ts';
import { buildRequestUrl, toTraceableUrl } from './request-url.ts';
import {
  findBackoffMs,
  findFaultPauseMs,
  hasTriesLeft,
  isRepeatable,
  isTransient,
  mayTryAgain,
} from './retry-policy.ts';
import { sendOnce, type RawAnswer, type TryLimits } from './send-once.ts';
import { writeRequest } from './write-request.ts';

interface HostClientLimits extends TryLimits {
  /** The most time for one request with all its tries and waits, but not its turn in the queue. */
  readonly deadlineMs: number;
}

const defaultLimits: HostClientLimits = {
  firstByteMs: 30_000,
  totalMs: 60_000,
  deadlineMs: 120_000,
  bodyBytes: 10 * 1_048_576,
};

export interface HostClientOptions {
  /** The API's base URL without trailing slash, as `parseHost` or the adapter gives it. */
  readonly base: string;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends everything under way; its reason is thrown. */
  readonly signal: AbortSignal;
  readonly userAgent: string;
  /**
   * Gives the credential, once per request. After a 401 it is asked once more, with the one that was refused; if
   * the secret differs then, the request is repeated with it.
   */
  readonly authorize?: (refused: Authorization | null) => Promise<Authorization | null>;
  /** Origins beside the base's that may get the credential. */
  readonly origins?: readonly string[];
  readonly limits?: Partial<HostClientLimits>;
  readonly pacing?: Pacing;
  /** What all who use the credential know of the host's limits. Default: one for this client alone. */
  readonly budget?: Budget;
  /** Takes one line per event, free of secrets. */
  readonly trace?: (line: string) => void;
  /** Told before each wait, so that progress can show it. */
  readonly onWait?: (durationMs: number, reason: WaitReason) => void;
}

const redirectStatuses = [301, 302, 303, 307, 308];
const redirectLimit = 3;

/** One request on its way, with what its tries share. */
interface Journey extends Traveller {
  readonly request: HostRequest;
  /** `https://host`, method and template, for errors. */
  readonly where: string;
  authorization: Authorization | null;
  tries: number;
}

/**
 * Creates the only way to one host's API: it paces, authorizes, repeats where that is safe, obeys the host's
 * limits, and hands back nothing but checked JSON.
 */
export function createHostClient(options: HostClientOptions): HostClient {
  const { base, clock, random, signal, authorize } = options;
  const { origin } = new URL(base);
  const trustedOrigins = new Set([origin, ...(options.origins ?? [])]);
  const limits = { ...defaultLimits, ...options.limits };
  const pacing = options.pacing ?? defaultPacing;
  const gate = createGate({
    origin,
    pacing,
    budget: options.budget ?? createMemoryBudget(),
    clock,
    signal,
    onWait: announceWait,
  });
  // Every request under way or in the queue listens to it; Node would take that for a leak.
  setMaxListeners(0, signal);

  function trace(line: string): void {
    options.trace?.(toPrintable(redact(line), 1_000));
  }

  async function waitForNextTry(durationMs: number): Promise<void> {
    announceWait(durationMs, 'retry');
    await clock.sleep(durationMs, signal);
  }

  function announceWait(durationMs: number, reason: WaitReason): void {
    trace(`! waiting ${Math.ceil(durationMs / 100) / 10} s (${reason})`);
    options.onWait?.(durationMs, reason);
  }

  function fits(journey: Journey, waitMs: number): boolean {
    return clock.monotonic() + waitMs < journey.deadlineAt;
  }

  /** Sends the request, following redirects inside the origin. */
  async function exchange(journey: Journey): Promise<RawAnswer> {
    let url = buildRequestUrl(base, journey.request);
    for (let redirects = 0; ; redirects += 1) {
      const answer = await sendTraced(journey, url);
      if (!redirectStatuses.includes(answer.status) || journey.request.accept?.includes(answer.status))
        return answer;
      url = findRedirectTarget(journey, url, answer, redirects);
    }
  }

  function findRedirectTarget(journey: Journey, from: URL, answer: RawAnswer, redirects: number): URL {
    const location = answer.headers.get('location') ?? '';
    const target = URL.canParse(location, from.href) ? new URL(location, from) : null;
    const isInside = target?.origin === origin && target.username === '' && target.password === '';
    if (target && isInside && redirects < redirectLimit && ['GET', 'HEAD'].includes(journey.request.method)) {
      return target;
    }
    const goal = target && target.origin !== 'null' ? target.origin : 'an address of another kind';
    const what = isInside && redirects >= redirectLimit ? 'too many redirects, at last to' : 'a redirect to';
    throw new ForeignAnswerError(
      `${journey.where} was answered with ${what} ${goal}, which gitlink does not follow.`,
      {
        hint: isInside
          ? 'Check the address.'
          : 'If the server has moved, link it with its new address; otherwise a proxy or a sign-in page is in between.',
      },
    );
  }

  async function sendTraced(journey: Journey, url: URL): Promise<RawAnswer> {
    const { request, authorization } = journey;
    const wire = writeRequest(request, url, { userAgent: options.userAgent, authorization, trustedOrigins });
    const startedAt = clock.monotonic();
    const remainingMs = Math.max(1, journey.deadlineAt - startedAt);
    const tryLimits = {
      firstByteMs: Math.min(limits.firstByteMs, remainingMs),
      totalMs: Math.min(limits.totalMs, remainingMs),
      bodyBytes: limits.bodyBytes,
    };
    trace(`> ${request.method} ${toTraceableUrl(url)}`);
    try {
      const answer = await sendOnce(options.fetch, wire, tryLimits, signal);
      trace(`< ${answer.status} in ${Math.round(clock.monotonic() - startedAt)} ms`);
      return answer;
    } catch (error) {
      if (error instanceof ConnectionFault) {
        trace(`! ${error.message} after ${Math.round(clock.monotonic() - startedAt)} ms`);
      }
      throw error;
    }
  }

  /** One try with all that comes before and after it. A fault is a result here: it may be worth another try. */
  async function attempt(journey: Journey): Promise<RawAnswer | ConnectionFault> {
    const { method, route } = journey.request;
    const kind = ['GET', 'HEAD'].includes(method) ? 'read' : 'write';
    const leave = await gate.enter(journey, kind, route.template);
    try {
      return await exchange(journey);
    } catch (error) {
      if (error instanceof ConnectionFault) return error;
      throw error;
    } finally {
      journey.tries += 1;
      leave();
    }
  }

  async function pauseAfterFault(journey: Journey, fault: ConnectionFault): Promise<void> {
    const pauseMs = findFaultPauseMs(fault, journey.tries, random);
    if (!mayTryAgain(journey.request, fault, journey.tries) || !fits(journey, pauseMs)) {
      throw toUnreachableError(fault, new URL(base));
    }
    await waitForNextTry(pauseMs);
  }

  /** Waits before the next try where the answer promises that one may succeed, else throws what it says. */
  async function pauseAfterAnswer(
    journey: Journey,
    answer: HostResponse,
    limit: RateLimit | null,
  ): Promise<void> {
    const { request, tries } = journey;
    const error = createHostAnswerError(
      { method: request.method, origin, template: request.route.template },
      answer,
    );
    // A refusal for the rate says that nothing was done, so that even a POST may be sent again.
    const mayRepeat = limit?.isRefusal === true || (isTransient(answer.status) && isRepeatable(request));
    if (!mayRepeat) throw error;
    if (!hasTriesLeft(tries)) throw limit?.isRefusal ? gate.createRateLimitError() : error;
    if (gate.isClosed()) return;
    const pauseMs = findBackoffMs(tries, random);
    if (!fits(journey, pauseMs)) throw error;
    await waitForNextTry(pauseMs);
  }

  /** Another credential after the host refused the first, or null. */
  async function renewAuthorization(journey: Journey): Promise<Authorization | null> {
    const renewed = (await authorize?.(journey.authorization)) ?? null;
    const isSame = renewed !== null && journey.authorization?.secret.equals(renewed.secret);
    return isSame ? null : renewed;
  }

  async function request(request: HostRequest): Promise<HostResponse> {
    signal.throwIfAborted();
    const isOwn = request.authorization === undefined;
    const journey: Journey = {
      request,
      where: `${request.method} ${base}${request.route.template}`,
      authorization:
        request.authorization === undefined ? ((await authorize?.(null)) ?? null) : request.authorization,
      deadlineAt: clock.monotonic() + (request.deadlineMs ?? limits.deadlineMs),
      enteredAt: 0,
      tries: 0,
    };
    let mayRenew = isOwn;
    for (;;) {
      const raw = await attempt(journey);
      if (raw instanceof ConnectionFault) {
        await pauseAfterFault(journey, raw);
        continue;
      }
      if (raw.status === 401 && mayRenew) {
        mayRenew = false;
        const renewed = await renewAuthorization(journey);
        if (renewed) {
          journey.authorization = renewed;
          continue;
        }
      }
      const isSuccess = raw.status >= 200 && raw.status <= 299;
      const isAccepted = request.accept?.includes(raw.status) ?? false;
      const answer = readAnswer(raw, journey.where, isSuccess && !isAccepted);
      const limit = readRateLimit(answer, clock.now(), journey.tries, pacing.unstatedLimitMs);
      // A limit that a caller expects is that of one route.
      await gate.note(journey, answer.headers, isAccepted && raw.status === 429 ? null : limit);
      // A 403 that a caller wants to interpret is about permission; a rate limit in its clothes is not.
      if (isSuccess || (isAccepted && !(raw.status === 403 && limit?.isRefusal))) return answer;
      await pauseAfterAnswer(journey, answer, limit);
    }
  }

  return { base, request };
}
