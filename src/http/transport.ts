import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import type * as Undici from 'undici';
import { InternalError, UsageError } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import { ConnectionFault, findPlatformError, toConnectionFault } from './connection-fault.ts';
import { chooseProxy, hasProxy, type Environment, type ProxyChoice } from './proxy-choice.ts';

type Fetch = typeof globalThis.fetch;

export interface TransportOptions {
  /** For the proxy variables and `NODE_EXTRA_CA_CERTS`. */
  readonly env: Environment;
  /** The platform's own, used wherever it is enough. */
  readonly fetch: Fetch;
  /** A PEM file with authorities to trust beside the usual ones. */
  readonly caFile?: string | undefined;
  /** Reads a text file. */
  readonly readFile: (path: string) => Promise<string>;
}

/**
 * Makes the `fetch` that gets through this machine's network: by its proxy, trusting its authorities. Node's own
 * ignores proxy variables unless it is told not to, which Node 20 cannot be.
 *
 * @throws UsageError for `NODE_TLS_REJECT_UNAUTHORIZED=0` or a CA file that cannot be used.
 */
export async function createTransport(options: TransportOptions): Promise<Fetch> {
  const { env, caFile } = options;
  assertTlsIsVerified(env);
  if (caFile === undefined && !hasProxy(env)) return options.fetch;
  const ca = caFile === undefined ? undefined : await readAuthorities(caFile, options);
  const dispatchers = new Map<string, Undici.Dispatcher>();

  return async (input, init) => {
    if (input instanceof Request)
      throw new InternalError('The transport takes addresses, not Request objects.');
    const url = new URL(input);
    const proxy = chooseProxy(url, env);
    if (!proxy && !ca) return options.fetch(url, init);
    // Large, and most people need neither proxy nor CA file.
    const { default: undici } = await import('undici');
    const key = proxy ? `${proxy.origin} ${proxy.authorization?.fingerprint}` : 'direct';
    const dispatcher = dispatchers.get(key) ?? createDispatcher(undici, proxy, ca);
    dispatchers.set(key, dispatcher);
    try {
      // undici's own types and those of Node's copy of undici differ by version only.
      return await undici.fetch(url, { ...init, dispatcher } as Undici.RequestInit);
    } catch (error) {
      throw proxy && !init?.signal?.aborted ? toProxyFault(error, proxy) : error;
    }
  };
}

function createDispatcher(
  { Agent, ProxyAgent }: Pick<typeof Undici, 'Agent' | 'ProxyAgent'>,
  proxy: ProxyChoice | null,
  ca: string[] | undefined,
): Undici.Dispatcher {
  const trust = ca ? { ca } : {};
  if (!proxy) return new Agent({ connect: trust });
  return new ProxyAgent({
    uri: proxy.origin,
    requestTls: trust,
    proxyTls: trust,
    // https goes through a tunnel, plain http as a request to the proxy.
    proxyTunnel: false,
    ...(proxy.authorization ? { token: proxy.authorization.reveal() } : {}),
  });
}

/** The host's name is looked up by the proxy, so whatever fails before the tunnel stands is the proxy's. */
function toProxyFault(error: unknown, proxy: ProxyChoice): ConnectionFault {
  const { code, message } = findPlatformError(error);
  const details = { proxy: proxy.name };
  // undici's words for a refused tunnel and for a refused request.
  const status = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(message)?.[1];
  if (status === '407') return new ConnectionFault('proxySignIn', status, details);
  if (status !== undefined) return new ConnectionFault('proxy', `it answered ${status}`, details);
  if (code === 'UND_ERR_PRX_TLS')
    return new ConnectionFault('proxy', 'its certificate is not trusted', details);
  const fault = toConnectionFault(error);
  const isProxys = ['name', 'refused', 'unroutable', 'connectTimeout'].includes(fault.kind);
  return isProxys ? new ConnectionFault('proxy', `it cannot be reached (${fault.detail})`, details) : fault;
}

/** A list of authorities replaces Node's, so the usual ones are put in front. */
async function readAuthorities(caFile: string, { env, readFile }: TransportOptions): Promise<string[]> {
  const own = await readFile(caFile).then(splitCertificates, () => []);
  if (own.length === 0) {
    throw new UsageError(`The CA file ${toPrintable(caFile)} cannot be read or holds no PEM certificate.`);
  }
  const extraFile = env['NODE_EXTRA_CA_CERTS'];
  // Node too goes on without this file when it cannot be used.
  const extra = extraFile ? await readFile(extraFile).then(splitCertificates, () => []) : [];
  // Since Node 22.15, with the system's store under `--use-system-ca`.
  const { getCACertificates } = tls as { readonly getCACertificates?: (type: 'default') => string[] };
  return [...(getCACertificates?.('default') ?? tls.rootCertificates), ...extra, ...own];
}

function splitCertificates(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.filter((block) => isCertificate(block));
}

function isCertificate(block: string): boolean {
  try {
    return new X509Certificate(block).raw.length > 0;
  } catch {
    return false;
  }
}

/**
 * Refuses to work where Node was told not to check certificates: every token would be open to whoever answers.
 *
 * @throws UsageError
 */
export function assertTlsIsVerified(env: Environment): void {
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] !== '0') return;
  throw new UsageError(
    'NODE_TLS_REJECT_UNAUTHORIZED=0 switches the check of certificates off; gitlink refuses that.',
    {
      hint: 'Unset it. For a server with a private authority pass its certificate with --ca-file.',
    },
  );
}
