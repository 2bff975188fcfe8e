import { GitlinkError } from '../errors.ts';
import { findExecutable } from '../git/find-executable.ts';
import { findBrowserObstacle, openBrowser, type BrowserObstacle } from '../oauth/open-browser.ts';
import type { Session } from './session.ts';

/** The browser that the person chose; null for the system's. */
async function readPreferredBrowser({ context, runtime }: Session): Promise<string | null> {
  return (await context.openSettings()).get('browser') ?? (runtime.env['BROWSER'] || null);
}

/** Why no browser can be shown to the person here; null where one can. */
export async function findObstacle(session: Session): Promise<BrowserObstacle | null> {
  const { env, platform } = session.runtime;
  return findBrowserObstacle(env, platform, await readPreferredBrowser(session));
}

/**
 * Opens an address in the person's browser.
 *
 * @param address - On the host, or on this machine.
 * @throws UnsupportedError when there is no browser to start.
 */
export async function openInBrowser(session: Session, address: string, host: string): Promise<void> {
  const { env, platform } = session.runtime;
  await openBrowser(address, {
    env,
    platform,
    preferred: await readPreferredBrowser(session),
    findProgram: (name) => findExecutable(name, { env, platform }),
    hosts: [new URL(host).host],
  });
}

/**
 * Shows a page where a person has to do something: opened where that is possible, named always.
 *
 * @param url - In the words of a provider's adapter: some keep accounts at another host than repositories.
 */
export async function openPage(session: Session, url: string): Promise<void> {
  session.reporter.note(`The page: ${url}`);
  if ((await findObstacle(session)) !== null) return;
  try {
    await openInBrowser(session, url, url);
  } catch (error) {
    // The address is on the screen.
    if (!(error instanceof GitlinkError)) throw error;
  }
}
