import { UnreachableError } from '../errors.ts';
import { isLoopbackHost } from './base-url.ts';

export type FaultKind =
  | 'name'
  | 'refused'
  | 'unroutable'
  | 'connectTimeout'
  | 'certificate'
  | 'tls'
  | 'proxy'
  | 'proxySignIn'
  | 'timeout'
  | 'broken';

/** No answer, and why. Internal to `http/`: people see what {@link toUnreachableError} makes of it. */
export class ConnectionFault extends Error {
  readonly kind: FaultKind;
  /** Whether the request may have reached the host. */
  readonly isSent: boolean;
  /** The platform's code, such as `ECONNREFUSED`, or what happened, in words. */
  readonly detail: string;
  /** `host:port` of the proxy that is at fault. */
  readonly proxy: string | undefined;

  constructor(kind: FaultKind, detail: string, details: { isSent?: boolean; proxy?: string } = {}) {
    super(`${kind}: ${detail}`);
    this.kind = kind;
    this.detail = detail;
    this.isSent = details.isSent ?? false;
    this.proxy = details.proxy;
  }

  /** Whether waiting longer would not help a person: these are tried once more, quickly, and then reported. */
  get isHopeless(): boolean {
    return this.kind !== 'timeout' && this.kind !== 'broken';
  }
}

/** Verification errors of OpenSSL and Node, and what they mean. */
const certificateProblems: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  CERT_REVOKED: 'it was revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'it comes from an authority that this machine does not know',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate of its authority is missing',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'it comes from an authority that this machine does not know',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'it comes from an authority that this machine does not know, or the server leaves out an intermediate',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it was made for another name',
  HOSTNAME_MISMATCH: 'it was made for another name',
  CERT_UNTRUSTED: 'its authority is not trusted',
  CERT_REJECTED: 'its authority is not trusted',
  CERT_SIGNATURE_FAILURE: 'its signature is wrong',
  INVALID_CA: 'its authority may not sign certificates',
  INVALID_PURPOSE: 'it is not meant for servers',
  PATH_LENGTH_EXCEEDED: 'its chain is too long',
  CERT_CHAIN_TOO_LONG: 'its chain is too long',
  EE_KEY_TOO_SMALL: 'its key is too short',
  CA_KEY_TOO_SMALL: "its authority's key is too short",
  CA_MD_TOO_WEAK: 'its signature is too weak',
};

const kindsByCode: Readonly<Record<string, FaultKind>> = {
  ENOTFOUND: 'name',
  EAI_AGAIN: 'name',
  EAI_FAIL: 'name',
  EAI_NODATA: 'name',
  ECONNREFUSED: 'refused',
  UND_ERR_CONNECT_TIMEOUT: 'connectTimeout',
};

export interface PlatformError {
  readonly code: string;
  readonly syscall: string;
  readonly message: string;
}

/** How fetch names the end of a connection; with a cause where it knows one. */
const fetchMessages: ReadonlySet<string> = new Set(['fetch failed', 'terminated']);

/**
 * Says what a failed `fetch` means.
 *
 * @param error - What `fetch`, or reading its answer, threw.
 */
export function toConnectionFault(error: unknown): ConnectionFault {
  if (error instanceof ConnectionFault) return error;
  // A fault of this program must not look like one of the network.
  if (error instanceof TypeError && error.cause === undefined && !fetchMessages.has(error.message))
    throw error;
  const { code, syscall, message } = findPlatformError(error);
  const known = kindsByCode[code];
  if (known) return new ConnectionFault(known, code);
  if (Object.hasOwn(certificateProblems, code)) return new ConnectionFault('certificate', code);
  if (syscall === 'connect')
    return new ConnectionFault(code === 'ETIMEDOUT' ? 'connectTimeout' : 'unroutable', code);
  // The Fetch standard blocks the ports of other protocols.
  if (message === 'bad port') return new ConnectionFault('unroutable', 'blocked port');
  if (message.includes('before secure TLS connection')) return new ConnectionFault('tls', code);
  // OpenSSL's other errors may come after the handshake: whether the host got the request is not known.
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return new ConnectionFault('tls', code, { isSent: true });
  return new ConnectionFault('broken', code || 'connection lost', { isSent: true });
}

/** Digs the first system or TLS error out of fetch's `cause` and of the attempts at several addresses. */
export function findPlatformError(error: unknown): PlatformError {
  let current: unknown = error;
  let message = '';
  for (let level = 0; level < 5 && current instanceof Error; level += 1) {
    ({ message } = current);
    const attempts: unknown[] = current instanceof AggregateError ? current.errors : [];
    const found = [...attempts, current].find((candidate) => readText(candidate, 'code') !== '');
    if (found) {
      return {
        code: readText(found, 'code'),
        syscall: readText(found, 'syscall'),
        message: readText(found, 'message'),
      };
    }
    current = current.cause;
  }
  return { code: '', syscall: '', message };
}

function readText(value: unknown, key: string): string {
  if (typeof value !== 'object' || value === null) return '';
  const text: unknown = Reflect.get(value, key);
  return typeof text === 'string' ? text : '';
}

/** Puts a fault into words for the person who waits. */
export function toUnreachableError(fault: ConnectionFault, url: URL): UnreachableError {
  const { message, hint } = describeFault(fault, url);
  return new UnreachableError(message, { hint });
}

function describeFault(fault: ConnectionFault, url: URL): { message: string; hint: string } {
  const { detail } = fault;
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const proxy = fault.proxy ?? 'the proxy';
  const online =
    'Check the address and the network: VPN, DNS, and the proxy variables (HTTPS_PROXY, NO_PROXY).';
  switch (fault.kind) {
    case 'name':
      return detail === 'ENOTFOUND'
        ? { message: `The name ${url.hostname} was not found (${detail}).`, hint: online }
        : { message: `The name ${url.hostname} could not be looked up (${detail}).`, hint: online };
    case 'refused':
      return {
        message: `${url.hostname} refused the connection on port ${port} (${detail}).`,
        hint: 'Check the address and the port, and whether the server is running.',
      };
    case 'unroutable':
      return { message: `${url.hostname} cannot be reached from this network (${detail}).`, hint: online };
    case 'connectTimeout':
      return {
        message: `${url.hostname} did not take the connection on port ${port} (${detail}).`,
        hint: online,
      };
    case 'certificate':
      return {
        message: `The certificate of ${url.hostname} is not trusted: ${certificateProblems[detail] ?? 'it is invalid'} (${detail}).`,
        hint: toCertificateHint(detail),
      };
    case 'tls':
      return {
        message: `No secure connection to ${url.hostname} on port ${port} could be made (${detail}).`,
        hint: `Check that the port speaks https, with TLS 1.2 or newer.${toPlainHint(detail, url)}`,
      };
    case 'proxy':
      return {
        message: `The proxy ${proxy} did not connect to ${url.hostname}: ${detail}.`,
        hint: 'Check HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY.',
      };
    case 'proxySignIn':
      return {
        message: `The proxy ${proxy} asks for a user name and password, or refused the given ones (407).`,
        hint: 'Put them into the proxy variable: http://user:password@host:port, percent-encoded.',
      };
    case 'timeout':
      return { message: `${url.hostname} ${detail}.`, hint: 'Try again later, and check the network.' };
    case 'broken':
      return {
        message: `The connection to ${url.hostname} broke off (${detail}).`,
        hint: 'Try again later, and check the network.',
      };
  }
}

/** What came was no TLS: most often a server that speaks http. */
const plainAnswers: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
]);

function toPlainHint(code: string, { host, hostname }: URL): string {
  if (!plainAnswers.has(code)) return '';
  const risk = isLoopbackHost(hostname) ? '' : ' --allow-http (everything can be read on the way)';
  return ` If it speaks http only: --host http://${host}${risk}`;
}

function toCertificateHint(code: string): string {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return "Check this machine's clock; otherwise the server needs a new certificate.";
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    return 'Check the address: the certificate belongs to another host.';
  }
  return "If the server uses your organization's own authority, pass its certificate with --ca-file.";
}
