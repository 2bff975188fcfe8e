import type { SimulatorRequest } from '../routes.ts';
import type { GitlabApplication } from './applications.ts';
import type { GitlabState } from './state.ts';

export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

/** A form as it was sent; null for what is none. */
export function readForm(
  request: SimulatorRequest,
  allowed: readonly string[],
): Readonly<Record<string, string>> | null {
  const type = request.headers['content-type'] ?? '';
  const { body } = request;
  if (request.query.size > 0) request.recordFailure('parameters in the query of an OAuth request');
  if (request.authorization) request.recordFailure('an authorization header in an OAuth request');
  if (!request.headers['user-agent']?.startsWith('gitlink/')) {
    request.recordFailure('a User-Agent that does not begin with "gitlink/"');
  }
  if (!type.startsWith('application/x-www-form-urlencoded') || typeof body !== 'object' || body === null) {
    request.recordFailure(`an OAuth request of type "${type}" instead of a form`);
    return null;
  }
  for (const name of Object.keys(body)) {
    if (!allowed.includes(name)) request.recordFailure(`unknown parameter "${name}"`);
  }
  return body as Readonly<Record<string, string>>;
}

/** The application that a form names: public ones need no secret, but a wrong one is wrong. */
export function findClient(
  state: GitlabState,
  form: Readonly<Record<string, string>>,
): GitlabApplication | undefined {
  const application = state.applications.get(form['client_id'] ?? '');
  if (!application) return undefined;
  const secret = form['client_secret'];
  if (secret === undefined) return application.confidential ? undefined : application;
  return secret === application.secret ? application : undefined;
}

/** What the provider must be told of a client that was looked at already. */
export function clientParameters(application: GitlabApplication): Readonly<Record<string, string>> {
  return {
    client_id: application.applicationId,
    ...(application.confidential ? { client_secret: application.secret } : {}),
  };
}

/** Whether every scope is one of the application's. */
export function areScopesAllowed(application: GitlabApplication, scope: string): boolean {
  return scope.split(' ').every((name) => application.scopes.includes(name));
}

const loopbackAddress = /^(127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Compares as Doorkeeper does: everything must be the same, but the port where both are loopback addresses.
 * `localhost` is a name, no address.
 */
export function matchesRedirect(application: GitlabApplication, requested: string): boolean {
  if (!URL.canParse(requested)) return false;
  return application.redirectUris.some((registered) => {
    if (registered === requested) return true;
    const [wanted, got] = [new URL(registered), new URL(requested)];
    if (!loopbackAddress.test(wanted.hostname) || !loopbackAddress.test(got.hostname)) return false;
    wanted.port = '';
    got.port = '';
    return wanted.href === got.href;
  });
}
