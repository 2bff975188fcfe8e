import { hasUnsafeCharacter } from '../printable.ts';
import { redact } from '../redaction.ts';
import { normaliseAuthority } from './host-match.ts';

/** Where a remote points to. */
export interface RepositoryUrl {
  readonly protocol: 'https' | 'http' | 'ssh';
  /** Lower case; an IPv6 address keeps its brackets. */
  readonly host: string;
  /** `null` for the protocol's default. */
  readonly port: number | null;
  /** As git would hand it to a credential helper: decoded, without slashes at its ends. */
  readonly path: string;
  /** `null` too where it looks like a token. */
  readonly username: string | null;
  /** Whether the URL holds a password or token. It is never kept. */
  readonly hasPassword: boolean;
}

const urlLimit = 4096;

/**
 * Reads the URL of a remote as git does, in the forms that reach a host: `https://`, `http://`, `ssh://` and
 * `user@host:path`. What git and other programs could read differently is refused.
 *
 * @returns `null` for anything else: local paths, bundles, other transports, queries, a second `@`, a host that
 *   begins like an option.
 */
export function parseRepositoryUrl(url: string): RepositoryUrl | null {
  if (url.length > urlLimit || isMisleading(url)) return null;
  const [, scheme, authority, path] =
    /^(https?|ssh|git\+ssh|ssh\+git):\/\/([^/?#]+)\/([^?#]*)$/.exec(url) ?? [];
  if (scheme !== undefined && authority !== undefined && path !== undefined) {
    const protocol = scheme === 'https' || scheme === 'http' ? scheme : 'ssh';
    const decoded = decode(path);
    return decoded === null ? null : toRepositoryUrl(protocol, authority, decoded);
  }
  if (url.includes('://')) return null;
  // One letter before the colon is a drive of Windows.
  const [, place, scpPath] = /^((?:[^/:@]+@)?(?:[^/:@[\]]{2,}|\[[^/\]]+\])):(?!:)(.+)$/.exec(url) ?? [];
  return place === undefined || scpPath === undefined ? null : toRepositoryUrl('ssh', place, scpPath);
}

function toRepositoryUrl(
  protocol: RepositoryUrl['protocol'],
  place: string,
  path: string,
): RepositoryUrl | null {
  const [userinfo, authority, ...more] = place.includes('@') ? place.split('@') : [undefined, place];
  if (authority === undefined || more.length > 0) return null;
  const normal = normaliseAuthority(authority, protocol);
  const [, host, port] = /^(.+?)(?::(\d+))?$/.exec(normal ?? '') ?? [];
  const trimmed = path.replace(/^\/+|\/+$/g, '');
  if (host === undefined || host.startsWith('-') || Number(port ?? 1) > 65_535 || trimmed === '') return null;
  const colon = userinfo?.indexOf(':') ?? -1;
  const username = decode((colon === -1 ? userinfo : userinfo?.slice(0, colon)) ?? '');
  if (username === null || username.startsWith('-')) return null;
  const isToken = redact(username) !== username;
  return {
    protocol,
    host,
    port: port === undefined ? null : Number(port),
    path: trimmed,
    username: isToken ? null : username || null,
    hasPassword: isToken || (colon !== -1 && colon + 1 < (userinfo?.length ?? 0)),
  };
}

function decode(text: string): string | null {
  try {
    const decoded = decodeURIComponent(text);
    return isMisleading(decoded) ? null : decoded;
  } catch {
    return null;
  }
}

/** Invisible characters, and the backslash, which browsers and git read differently. */
function isMisleading(text: string): boolean {
  return text.includes('\\') || hasUnsafeCharacter(text);
}
