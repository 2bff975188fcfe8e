import { AuthError, GitlinkError } from '../errors.ts';
import type { Clock, Random } from '../runtime.ts';
import { Secret } from '../secret.ts';
import { judgeCallback, type Callback } from './callback.ts';
import { describeDuration } from './describe-duration.ts';
import type { Redirect } from './loopback-listener.ts';
import { startLoopbackServer } from './loopback-server.ts';
import type { StartForm } from './start-form.ts';
import { toSignInError } from './sign-in-error.ts';

/** One registration of an app, which the person confirms in their browser. */
export interface AppRegistration {
  /** The host as people know it. */
  readonly host: string;
  readonly redirect: Redirect;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Makes the form that the browser sends to the host. */
  readonly toForm: (place: { readonly redirectUri: string; readonly state: string }) => StartForm;
  readonly openBrowser: (startUrl: string) => Promise<void>;
  /** Told once the flow waits for the person. */
  readonly onWaiting: (waiting: { readonly isOpened: boolean; readonly startUrl: string }) => void;
  /**
   * Exchanges the code and keeps what came of it, durably.
   *
   * @returns where the browser goes on; it hears of nothing before.
   */
  readonly settle: (code: Secret) => Promise<string>;
}

const stateBytes = 32;

/**
 * Has a person register an app: their browser sends a form to the host, they confirm it there, and it comes back with
 * a code that is good once (GitHub: "Registering a GitHub App from a manifest").
 *
 * @throws AuthError when it is declined or not finished in time; what `settle` throws.
 */
export async function registerAppByBrowser(flow: AppRegistration): Promise<void> {
  const { random, clock } = flow;
  const server = await startLoopbackServer(flow.redirect, random);
  const ending = new AbortController();
  try {
    const state = random.bytes(stateBytes).toString('base64url');
    const form = flow.toForm({ redirectUri: server.redirectUri, state });
    const judge = (parameters: URLSearchParams): Callback =>
      judgeCallback(parameters, {
        state,
        issuer: null,
        sendsIssuer: false,
        authorizationEndpoint: form.action,
      });
    const startUrl = server.begin(form, judge);
    const deadline = clock.sleep(flow.timeoutMs, AbortSignal.any([flow.signal, ending.signal])).then(() => {
      throw new AuthError(
        `Nobody finished registering the App at ${flow.host} within ${describeDuration(flow.timeoutMs)}.`,
        { hint: 'Run the command again; --timeout gives more time.' },
      );
    });
    const settled = Promise.race([server.callback, deadline]);
    const opened = flow.openBrowser(startUrl).then(
      () => flow.onWaiting({ isOpened: true, startUrl }),
      () => flow.onWaiting({ isOpened: false, startUrl }),
    );
    const callback = await Promise.race([settled, opened.then(() => settled)]);
    try {
      if (callback.outcome !== 'code') throw toRefusal(flow.host, callback);
      await server.finish({ location: await flow.settle(new Secret(callback.parameters.get('code') ?? '')) });
    } catch (error) {
      const reason = error instanceof GitlinkError ? error.message : 'Something went wrong in gitlink.';
      await server.finish({
        kind: 'failed',
        title: 'The App is not ready',
        text: `${reason} Go back to the terminal to see what to do next.`,
      });
      throw error;
    }
  } finally {
    ending.abort();
    await server.close();
  }
}

function toRefusal(host: string, callback: Exclude<Callback, { outcome: 'wrong' | 'code' }>): GitlinkError {
  if (callback.outcome === 'error') return toSignInError(host, callback);
  return new AuthError(`Another server than ${host} answered, so gitlink did not go on with it.`, {
    hint: 'Run the command again.',
  });
}
