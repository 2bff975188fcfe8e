import { UsageError, type ErrorDetails } from '../errors.ts';
import { Secret } from '../secret.ts';
import { isLoopbackHost } from './base-url.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy on the way to a host. */
export interface ProxyChoice {
  /** `http://host:port` or `https://host:port`, without credentials. */
  readonly origin: string;
  /** `host:port`, for messages. */
  readonly name: string;
  /** The value of `Proxy-Authorization`, or null. */
  readonly authorization: Secret | null;
}

/** A variable does not name a proxy in a way that can be understood. */
export class ProxyError extends UsageError {
  readonly variable: string;

  constructor(variable: string, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.variable = variable;
  }
}

/**
 * Chooses the proxy for an address as curl does: `HTTPS_PROXY` or `HTTP_PROXY` by the address's scheme, else
 * `ALL_PROXY`, unless `NO_PROXY` names the host. Lower-case names win. This machine is always reached directly.
 *
 * @throws ProxyError naming the variable, never its value, for a proxy that cannot be understood.
 * @see https://everything.curl.dev/usingcurl/proxies/env.html
 */
export function chooseProxy(url: URL, env: Environment): ProxyChoice | null {
  if (isLoopbackHost(url.hostname) || isExempt(url, readVariable(env, 'NO_PROXY').value)) return null;
  const specific = readVariable(env, url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  const { name, value } = specific.value === '' ? readVariable(env, 'ALL_PROXY') : specific;
  return value === '' ? null : parseProxy(name, value);
}

/** Whether the environment names any proxy at all. */
export function hasProxy(env: Environment): boolean {
  return ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY'].some((name) => readVariable(env, name).value !== '');
}

/** An empty variable counts as absent, as in curl. */
function readVariable(env: Environment, name: string): { name: string; value: string } {
  const lower = name.toLowerCase();
  const lowerValue = env[lower]?.trim() ?? '';
  return lowerValue === '' ? { name, value: env[name]?.trim() ?? '' } : { name: lower, value: lowerValue };
}

function parseProxy(name: string, value: string): ProxyChoice {
  const text = value.includes('://') ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw new ProxyError(name, `The variable ${name} does not hold the address of an http or https proxy.`, {
      hint: `Set ${name} to something like http://proxy.example.com:3128.`,
    });
  }
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return {
    origin: url.origin,
    name: `${url.hostname}:${port}`,
    authorization: url.username === '' ? null : toAuthorization(name, url),
  };
}

function toAuthorization(name: string, { username, password }: URL): Secret {
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    // Wrapped for its own sake: the redactor learns the password by it.
    if (password !== '') new Secret(decodeURIComponent(password));
    return new Secret(`Basic ${Buffer.from(pair, 'utf8').toString('base64')}`);
  } catch {
    throw new ProxyError(
      name,
      `The user name or password in the variable ${name} is not percent-encoded correctly.`,
    );
  }
}

/**
 * Whether `NO_PROXY` exempts an address. An entry is `*` alone, a host, a domain with or without a leading dot,
 * which includes its subdomains, or an IP address, each with an optional port. Network ranges (`10.0.0.0/8`)
 * match nothing.
 */
function isExempt(url: URL, list: string): boolean {
  if (list === '*') return true;
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => matchesEntry(url.hostname, port, entry));
}

function matchesEntry(hostname: string, port: string, entry: string): boolean {
  const match = /^(?:\*?\.)?(\[[0-9a-f:.]+\]|[^:[\]]+|[0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*)(?::(\d+))?\.?$/.exec(
    entry,
  );
  if (!match?.[1] || (match[2] !== undefined && match[2] !== port)) return false;
  const wanted = match[1].replace(/\.$/, '');
  const host = hostname.replace(/^\[|\]$/g, '');
  const isAddress = hostname.startsWith('[') || /^[\d.]+$/.test(hostname);
  return host === wanted.replace(/^\[|\]$/g, '') || (!isAddress && host.endsWith(`.${wanted}`));
}
