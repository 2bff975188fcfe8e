import { AuthError, InternalError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { Authorization, HostRequest } from './host-client.ts';
import type { WireRequest } from './send-once.ts';

/** Headers that carry credentials or framing. Only this file and the platform write them. */
const reservedHeaders =
  /^(?:authorization|proxy-.*|cookie|private-token|job-token|x-gitea-otp|host|connection|content-length|transfer-encoding)$/;

/**
 * Puts a request into the form in which it travels. The only place of `http/` that reveals secrets, and it does
 * so for a checked address only.
 *
 * @param url - The final address.
 * @param options - `trustedOrigins` are those that may get the authorization: asked here, at the last moment.
 */
export function writeRequest(
  request: HostRequest,
  url: URL,
  options: {
    readonly userAgent: string;
    readonly authorization: Authorization | null;
    readonly trustedOrigins: ReadonlySet<string>;
  },
): WireRequest {
  const headers: Record<string, string> = { accept: 'application/json', 'user-agent': options.userAgent };
  const body = writeBody(request, headers);
  if (body !== undefined && (request.method === 'GET' || request.method === 'HEAD')) {
    throw new InternalError(`${request.method} ${request.route.template} takes no body.`);
  }
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    if (reservedHeaders.test(name.toLowerCase()))
      throw new InternalError(`The header ${name} may not be set here.`);
    headers[name.toLowerCase()] = value;
  }
  if (options.authorization && options.trustedOrigins.has(url.origin))
    headers['authorization'] = writeAuthorization(options.authorization);
  return { url, method: request.method, headers, body };
}

function writeBody(request: HostRequest, headers: Record<string, string>): string | undefined {
  if (request.json !== undefined) {
    headers['content-type'] = 'application/json';
    return JSON.stringify(request.json, revealSecrets);
  }
  if (request.form === undefined) return undefined;
  headers['content-type'] = 'application/x-www-form-urlencoded';
  const pairs = Object.entries(request.form).map(([name, value]): [string, string] => [
    name,
    value instanceof Secret ? value.reveal() : value,
  ]);
  return new URLSearchParams(pairs).toString();
}

/** A replacer is given what `toJSON` made of a value, so it looks at the holder, where the `Secret` still is. */
function revealSecrets(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const original = this[key];
  return original instanceof Secret ? original.reveal() : value;
}

function writeAuthorization(authorization: Authorization): string {
  const secret = authorization.secret.reveal();
  if (authorization.scheme !== 'Basic') {
    // The platform would refuse the header too, with the secret in its message.
    if (!/^[\x21-\x7e]+$/.test(secret)) {
      throw new AuthError('The token is empty or holds characters that no token has, such as a line break.');
    }
    return `${authorization.scheme} ${secret}`;
  }
  return `Basic ${Buffer.from(`${authorization.username}:${secret}`, 'utf8').toString('base64')}`;
}
