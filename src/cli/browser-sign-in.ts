import { CancelledError, UsageError } from '../errors.ts';
import { toDisplayHost } from '../http/base-url.ts';
import type { BrowserObstacle } from '../oauth/open-browser.ts';
import { requireOAuth } from '../operations/client-identity.ts';
import {
  assertSignInOffered,
  signInWithBrowser,
  signInWithCode,
  type BrowserHooks,
  type SignInRequest,
} from '../operations/sign-in.ts';
import type { VerifiedCredential } from '../operations/verify-credential.ts';
import { findObstacle, openInBrowser } from './open-page.ts';
import type { Session } from './session.ts';

/** How a person reaches the host's sign-in page. */
export type SignInWay = 'browser' | 'paste' | 'code';

const obstacles: Readonly<Record<Exclude<BrowserObstacle, 'ci'>, string>> = {
  ssh: 'This is a session over SSH, so a browser would open on the other machine',
  noDisplay: 'There is no display here, so no browser can be opened',
};

/**
 * Decides how the person signs in. Where no browser can be opened the other ways are offered by name, and none is
 * begun silently.
 *
 * @throws UsageError in CI, and without a terminal where no way was named.
 */
export async function chooseWay(
  session: Session,
  { provider, description }: Pick<SignInRequest, 'provider' | 'description'>,
  wish: { readonly method: 'oauth' | 'device'; readonly opensBrowser: boolean },
): Promise<SignInWay> {
  const host = toDisplayHost(description.host);
  const obstacle = await findObstacle(session);
  if (obstacle === 'ci') {
    throw new UsageError(`Nobody can sign in to ${host} here: this is CI, and not interactive.`, {
      hint: `Use a token: gitlink link ${provider.id} --host ${description.host} --token-env VARIABLE`,
    });
  }
  if (wish.method === 'device') return 'code';
  if (!wish.opensBrowser) return 'paste';
  if (obstacle === null) return 'browser';
  const hasCode = requireOAuth(provider).toEndpoints(description).device !== null;
  const ways = [
    ...(hasCode
      ? [{ value: 'code', label: 'Enter a code in a browser on any machine', flag: '--method device' }]
      : []),
    {
      value: 'paste',
      label: 'Open an address in a browser elsewhere and paste what it ends at',
      flag: '--no-browser',
    },
  ];
  if (!session.prompter.canAsk) {
    throw new UsageError(`${obstacles[obstacle]}.`, {
      hint: `Choose another way: ${ways.map(({ flag }) => flag).join(', ')}, or --method token`,
    });
  }
  session.reporter.note(`${obstacles[obstacle]}.`);
  const other = { value: 'none', label: 'Stop' };
  const chosen = await session.prompter.choose(
    'How do you want to sign in?',
    [...ways, other],
    '--no-browser',
  );
  if (chosen === 'none') throw new CancelledError('Nothing was linked.');
  return chosen === 'code' ? 'code' : 'paste';
}

/**
 * Signs the person in and has the result kept before they hear of success.
 *
 * @param timeoutMs - How long the person may take with a browser; null for the usual time.
 */
export async function signInBy<T>(
  session: Session,
  request: SignInRequest,
  way: SignInWay,
  timeoutMs: number | null,
  keep: (verified: VerifiedCredential) => Promise<T>,
): Promise<T> {
  const { context, reporter } = session;
  await assertSignInOffered(context, request);
  if (way === 'code')
    return signInWithCode(context, request, (code) => showCode(session, request, code), keep);
  const { host } = request.description;
  const hooks: BrowserHooks = {
    openBrowser: way === 'browser' ? (url) => openInBrowser(session, url, host) : null,
    onWaiting: ({ isOpened, authorizationUrl, redirectUri }) => {
      if (isOpened) {
        reporter.note(`Your browser opens: sign in to ${toDisplayHost(host)} there.`);
        reporter.status('Waiting for your browser (Ctrl-C to stop)…');
        return;
      }
      const { port } = new URL(redirectUri);
      reporter.note(`Open this address in a browser and sign in to ${toDisplayHost(host)}:`);
      reporter.note(`  ${authorizationUrl}`);
      reporter.note(
        `It comes back to port ${port} of this machine. From another one, forward it first (ssh -L ${port}:127.0.0.1:${port} HOST), or paste the address that the browser ends at, even if its page does not load.`,
      );
      if (!session.prompter.canAsk) reporter.status('Waiting for the browser (Ctrl-C to stop)…');
    },
    ...(session.prompter.canAsk && way === 'paste'
      ? {
          askForRedirect: (problem: string | null, signal: AbortSignal) =>
            askForRedirect(session, problem, signal),
        }
      : {}),
    ...(timeoutMs === null ? {} : { timeoutMs }),
  };
  return signInWithBrowser(context, request, hooks, keep);
}

function askForRedirect(
  { prompter, reporter }: Session,
  problem: string | null,
  signal: AbortSignal,
): Promise<string> {
  if (problem !== null) reporter.warn(problem);
  return prompter.ask('The address that the browser ended at', '--method token', undefined, signal);
}

function showCode(
  { reporter, context }: Session,
  { description }: SignInRequest,
  code: { readonly userCode: string; readonly verificationUri: string; readonly expiresAt: number },
): void {
  const minutes = Math.max(1, Math.round((code.expiresAt - context.clock.now()) / 60_000));
  reporter.note(`Open ${code.verificationUri} in any browser and enter this code:`);
  reporter.note(`  ${code.userCode}`);
  reporter.note(
    `The code is good for ${minutes} min. Enter it only if you started this yourself: whoever enters it lets this machine act as them at ${toDisplayHost(description.host)}.`,
  );
  reporter.status('Waiting for the code to be entered (Ctrl-C to stop)…');
}
