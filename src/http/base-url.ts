import { isIPv6 } from 'node:net';
import { domainToUnicode } from 'node:url';
import { UsageError } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import { redact } from '../redaction.ts';

const grammar =
  /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::([0-9]{1,5}))?(\/.*)?$/i;
const labelGrammar = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const ipv4Grammar = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const pathGrammar = /^(?:\/[A-Za-z0-9._~-]{1,100}){0,10}$/;

/** What must not appear anywhere in a host, and what to say about it. Programs read these differently. */
const forbidden: readonly (readonly [RegExp, string])[] = [
  [/[\s\p{Cc}\p{Cf}]/u, 'it holds a space or an invisible character'],
  [/\\/, 'it holds a backslash'],
  [/@/, 'it holds a user name or password; give the address without them'],
  [/\?/, 'it holds a query'],
  [/#/, 'it holds a fragment'],
  [/%/, 'it holds a percent sign'],
  [/[^\x20-\x7e]/, 'it holds letters outside ASCII; write an international name in its xn-- form'],
];

/**
 * Parses the address of a Git host as a person or a record gives it, more strictly than any URL parser, so
 * that git, curl, Node and people read the result in the same way.
 *
 * @param text - `https://host[:port][/path]`, or the same without a scheme, which then is https.
 * @param options - `allowHttp` permits plain http for hosts other than this machine.
 * @returns The base URL: host in lower case, no default port, no trailing slash.
 * @throws UsageError saying what is wrong; it repeats the text only where that cannot hold a secret.
 */
export function parseHost(text: string, options: { readonly allowHttp?: boolean } = {}): string {
  for (const [pattern, reason] of forbidden) {
    if (pattern.test(text)) throw new UsageError(`This is not the address of a Git host: ${reason}.`);
  }
  const match = grammar.exec(text);
  if (!match) throw refuse(text, 'expected something like https://git.example.com');
  const scheme = (match[1] ?? 'https').toLowerCase();
  if (scheme !== 'https' && scheme !== 'http') throw refuse(text, `${scheme} addresses are not supported`);
  const hostname = parseHostname(text, (match[2] ?? '').toLowerCase());
  const port = parsePort(text, match[3], scheme);
  const path = (match[4] ?? '').replace(/\/{1,100}$/, '');
  if (!pathGrammar.test(path) || path.includes('..') || path.split('/').includes('.')) {
    throw refuse(text, 'its path may hold only plain names');
  }
  if (scheme === 'http' && !options.allowHttp && !isLoopbackHost(hostname)) {
    throw new UsageError(`Over plain http anyone on the way to ${hostname} could read the token.`, {
      hint: `Use https://${hostname}, or --allow-http if you trust the network.`,
    });
  }
  const base = `${scheme}://${hostname}${port}`;
  const url = new URL(base + path);
  if (url.origin !== base || url.pathname !== (path || '/'))
    throw refuse(text, 'programs read it differently');
  return base + path;
}

function parseHostname(text: string, hostname: string): string {
  if (hostname.startsWith('[')) {
    if (!isIPv6(hostname.slice(1, -1))) throw refuse(text, 'this is not an IPv6 address');
    return new URL(`https://${hostname}`).hostname;
  }
  const labels = hostname.split('.');
  if (!labels.every((label) => labelGrammar.test(label))) throw refuse(text, 'the host name is malformed');
  // WHATWG reads every name whose last label is a number as an IPv4 address, in octal, hex and short forms too.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '') && !ipv4Grammar.test(hostname)) {
    throw refuse(text, 'write an IPv4 address as four decimal numbers');
  }
  if (labels.some((label) => label.startsWith('xn--')) && domainToUnicode(hostname) === '') {
    throw refuse(text, 'the xn-- form of the host name is invalid');
  }
  return hostname;
}

function parsePort(text: string, port: string | undefined, scheme: string): string {
  if (port === undefined) return '';
  if (!/^[1-9]/.test(port) || Number(port) > 65_535) throw refuse(text, 'the port must be 1 to 65535');
  return Number(port) === (scheme === 'https' ? 443 : 80) ? '' : `:${port}`;
}

function refuse(text: string, reason: string): UsageError {
  return new UsageError(`"${toPrintable(redact(text), 100)}" is not the address of a Git host: ${reason}.`);
}

/**
 * Whether a host name means this machine: 127.0.0.0/8, `::1` (with or without brackets) or `localhost`.
 *
 * @param hostname - As `URL.hostname` gives it.
 */
export function isLoopbackHost(hostname: string): boolean {
  if (hostname === 'localhost' || hostname === '[::1]' || hostname === '::1') return true;
  return hostname.startsWith('127.') && ipv4Grammar.test(hostname);
}

/** The base URL as tables show it: without `https://`; plain http stays visible. */
export function toDisplayHost(base: string): string {
  return base.startsWith('https://') ? base.slice('https://'.length) : base;
}

/** What an `xn--` host name spells, printable, or null for any other host. Shown where a host is first linked. */
export function toUnicodeHost(base: string): string | null {
  const { hostname } = new URL(base);
  const decoded = domainToUnicode(hostname);
  return decoded === hostname ? null : toPrintable(decoded);
}
