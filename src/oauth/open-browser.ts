import { isAbsolute } from 'node:path';
import { UnsupportedError, UsageError } from '../errors.ts';
import { isLoopbackHost } from '../http/base-url.ts';

/** Why no browser can be opened here. */
export type BrowserObstacle = 'ci' | 'ssh' | 'noDisplay';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Says why this machine cannot show a browser to the person who runs the command, so that another way is offered
 * by name instead of guessing.
 *
 * @param env - `CI`, `SSH_CONNECTION`, `SSH_TTY`, `DISPLAY`, `WAYLAND_DISPLAY`, `WSL_DISTRO_NAME`.
 * @param preferred - The browser that the person configured: then only CI stands in its way.
 */
export function findBrowserObstacle(
  env: Environment,
  platform: NodeJS.Platform,
  preferred: string | null,
): BrowserObstacle | null {
  if (env['CI'] && env['CI'] !== 'false' && env['CI'] !== '0') return 'ci';
  if (preferred !== null && preferred !== '') return null;
  // A browser that opens on the far machine's screen, or in none, is of no use.
  if (env['SSH_CONNECTION'] || env['SSH_TTY'] || env['SSH_CLIENT']) return 'ssh';
  const hasOwnDisplay = platform === 'win32' || platform === 'darwin' || Boolean(env['WSL_DISTRO_NAME']);
  return hasOwnDisplay || env['DISPLAY'] || env['WAYLAND_DISPLAY'] ? null : 'noDisplay';
}

export interface OpenBrowserOptions {
  readonly env: Environment;
  readonly platform: NodeJS.Platform;
  /**
   * The person's own choice: a program's name or path, several separated by colons (`browser` setting, `BROWSER`);
   * null for the system's.
   */
  readonly preferred: string | null;
  /** Finds a program on PATH, never in the current directory. Returns its absolute path. */
  readonly findProgram: (name: string) => string | null;
  /** Hosts, with port where it is not the usual one, that gitlink may send a browser to. */
  readonly hosts: readonly string[];
}

/**
 * Opens an address in the person's browser, without a shell.
 *
 * @param address - Built by gitlink: https on one of the hosts, or plain http on this machine.
 * @throws UsageError for any other address, UnsupportedError when there is no browser to start.
 */
export async function openBrowser(address: string, options: OpenBrowserOptions): Promise<void> {
  const url = parseBrowsable(address, options.hosts);
  const app = findApp(options);
  // Brings a dozen packages, which only this needs.
  const { default: open } = await import('open');
  // The library takes no environment: what it starts gets the one that this process has by then.
  const { env: own } = process;
  process.env = toBrowserEnvironment(options.env);
  try {
    await open(url, app === null ? {} : { app: { name: app } });
  } catch (error) {
    throw new UnsupportedError('The browser could not be started.', { cause: error });
  } finally {
    process.env = own;
  }
}

/**
 * What a browser gets of the environment: all but what may be a secret. It lives for days, and so would they. No list
 * of what is allowed, because each desktop has variables of its own without which no window opens.
 */
function toBrowserEnvironment(env: Environment): NodeJS.ProcessEnv {
  const mayBeSecret = /^GITLINK_|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|PRIVATE_?KEY/i;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !mayBeSecret.test(name)));
}

/**
 * Checks an address before a launcher sees it: launchers start whatever is registered for a scheme.
 *
 * @returns the same address, every character of it encoded.
 * @throws UsageError
 */
export function parseBrowsable(address: string, hosts: readonly string[]): string {
  const url = URL.canParse(address) ? new URL(address) : null;
  const isAllowed =
    url !== null &&
    url.username === '' &&
    url.password === '' &&
    // What a parser would change, launchers and shells may read in other ways.
    url.href === address &&
    /^[\w:/?#@!$&()*+,;=.~%[\]-]+$/.test(address) &&
    (url.protocol === 'https:'
      ? hosts.includes(url.host)
      : url.protocol === 'http:' && isLoopbackHost(url.hostname));
  if (!isAllowed) throw new UsageError('gitlink opens only web pages of the host in a browser.');
  return address;
}

/** @returns null where `open` knows the system's own launcher better. */
function findApp({ env, platform, preferred, findProgram }: OpenBrowserOptions): string | null {
  // On macOS a browser is known by its application's name.
  if (platform === 'darwin') return preferred?.replace(/^-+/, '') || null;
  if (preferred !== null && preferred !== '') {
    const choices = platform === 'win32' ? [preferred] : preferred.split(':');
    for (const choice of choices) {
      const path = isAbsolute(choice) ? choice : findProgram(choice);
      if (path !== null) return path;
    }
    throw new UnsupportedError('The browser that is set was not found on PATH.', {
      hint: 'Change it with: gitlink config set browser, or in the variable BROWSER. Give the name of a program, without arguments.',
    });
  }
  // Inside WSL the browser is one of Windows.
  if (platform === 'win32' || env['WSL_DISTRO_NAME']) return null;
  const launcher = findProgram('xdg-open');
  if (launcher !== null) return launcher;
  throw new UnsupportedError('There is no program here that opens a browser (xdg-open).');
}
