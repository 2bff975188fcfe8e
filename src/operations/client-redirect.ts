import type { Redirect } from '../oauth/loopback-listener.ts';
import type { RegisteredRedirect } from '../providers/oauth-support.ts';

/** The redirect as it stands in a client's registration. Without a port where the host takes any. */
export function nameRedirectUri(
  { host, path, port }: RegisteredRedirect,
  callbackPort: number | null,
): string {
  const registered = callbackPort ?? port;
  return `http://${host}${registered === null ? '' : `:${registered}`}${path}`;
}

/** Where a sign-in listens: on the registered port, or on any. */
export function toRedirect(registered: RegisteredRedirect, callbackPort: number | null): Redirect {
  return { host: registered.host, path: registered.path, port: callbackPort ?? registered.port };
}
