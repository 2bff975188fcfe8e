import { isUtf8 } from 'node:buffer';
import { hasUnsafeCharacter } from '../printable.ts';
import { Secret } from '../secret.ts';

/** What git asks of a credential helper, already checked: no field holds a character that could mislead. */
export interface CredentialRequest {
  readonly protocol: string;
  /** As git sent it: any case, the port included. */
  readonly host: string;
  /** Percent-decoded by git; `null` without `credential.useHttpPath`. */
  readonly path: string | null;
  readonly username: string | null;
  /** Sent with `store` and `erase`. */
  readonly password: Secret | null;
  /** Sent with `store` and `erase` where the answer was a `credential` instead of a password. */
  readonly credential: Secret | null;
  readonly capabilities: ReadonlySet<string>;
  /**
   * Whether the server offered to sign in as Windows does (git 2.41 and newer say so). libcurl then prefers that to
   * Basic, and tries a token as if it were somebody's Windows password.
   */
  readonly offersWindows: boolean;
}

/** What gitlink answers; `expiresAtSeconds` is the end of the token as Unix time, `null` if it has none. */
export type CredentialAnswer = { readonly expiresAtSeconds: number | null } & (
  { readonly username: string; readonly password: Secret } | { readonly bearer: Secret }
);

/** Nothing is answered; the reason is for one line on stderr and holds nothing of the request. */
export interface Refusal {
  readonly refused: string;
}

const inputLimitBytes = 1024 * 1024;
/** With its newline, as in git-credential(1). */
const lineLimitBytes = 65_535;
const lineLimit = 256;

const lineFeed = 0x0a;
const equalsSign = 0x3d;

/** Keys that may stand once: git takes the last of two, other programs the first. */
const singleKeys: ReadonlySet<string> = new Set([
  'protocol',
  'host',
  'path',
  'username',
  'password',
  'password_expiry_utc',
  'oauth_refresh_token',
  'authtype',
  'credential',
  'ephemeral',
  'continue',
  'quit',
  'url',
]);

/**
 * Reads what git wrote, up to the first blank line or the end.
 *
 * @param source - Standard input, or `readChunks(0)`, which starts faster.
 * @returns The bytes, or a refusal as soon as there are more than 1 MiB.
 */
export async function readCredentialInput(source: AsyncIterable<Uint8Array>): Promise<Buffer | Refusal> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  let lineIsEmpty = true;
  for await (const chunk of source) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > inputLimitBytes) return { refused: 'the request is longer than 1 MiB' };
    for (const byte of chunk) {
      if (byte !== lineFeed) lineIsEmpty = false;
      else if (lineIsEmpty) return Buffer.concat(chunks);
      else lineIsEmpty = true;
    }
  }
  return Buffer.concat(chunks);
}

/**
 * Parses git's credential protocol (git-credential(1), "INPUT/OUTPUT FORMAT") on bytes. No line reader or
 * decoder comes before the split: they end lines at CR, U+2028 and others, git at LF alone, and the difference
 * lets a URL smuggle in a `host` (CVE-2020-5260, CVE-2024-50338, CVE-2024-52006).
 *
 * @param bytes - From {@link readCredentialInput}; what follows a blank line is not read.
 */
export function readCredentialRequest(bytes: Uint8Array): CredentialRequest | Refusal {
  if (bytes.length > inputLimitBytes) return { refused: 'the request is longer than 1 MiB' };
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Map<string, Buffer>();
  const capabilities = new Set<string>();
  let offersWindows = false;
  let lines = 0;
  for (let start = 0; start < buffer.length;) {
    const newline = buffer.indexOf(lineFeed, start);
    const end = newline === -1 ? buffer.length : newline;
    if (end === start) break;
    lines += 1;
    if (lines > lineLimit) return { refused: `the request has more than ${lineLimit} lines` };
    if (end - start >= lineLimitBytes) return { refused: 'the request has a line that is too long' };
    const line = buffer.subarray(start, end);
    if (line.includes(0)) return { refused: 'the request has a NUL byte' };
    const equals = line.indexOf(equalsSign);
    if (equals === -1) return { refused: 'the request has a line without "="' };
    const key = line.toString('latin1', 0, equals);
    const value = line.subarray(equals + 1);
    if (singleKeys.has(key)) {
      if (values.has(key)) return { refused: `the request has more than one "${key}"` };
      values.set(key, value);
    } else if (key === 'capability[]') {
      if (value.length === 0) capabilities.clear();
      else capabilities.add(value.toString('latin1'));
    } else if (key === 'wwwauth[]') {
      // One offer in each line, or several by comma, in whose quotes anything may stand.
      const offers = value.toString('latin1').replace(/"[^"]*"/g, '');
      offersWindows ||= /(?:^|,\s{0,9})(?:NTLM|Negotiate)\b/i.test(offers);
    }
    start = end + 1;
  }
  return toRequest(values, capabilities, offersWindows);
}

function toRequest(
  values: ReadonlyMap<string, Buffer>,
  capabilities: ReadonlySet<string>,
  offersWindows: boolean,
): CredentialRequest | Refusal {
  const texts: Record<string, string> = {};
  for (const key of ['protocol', 'host', 'path', 'username']) {
    const value = values.get(key);
    if (value === undefined) continue;
    const text = value.toString('utf8');
    if (!isUtf8(value) || hasUnsafeCharacter(text)) {
      return { refused: `the request has a character in "${key}" that is never part of one` };
    }
    texts[key] = text;
  }
  const { protocol, host, path, username } = texts;
  if (!protocol || !host) return { refused: 'the request names no protocol or no host' };
  return {
    protocol,
    host,
    path: path || null,
    username: username || null,
    password: toSecret(values.get('password')),
    credential: toSecret(
      values.get('authtype')?.toString('latin1') === 'Basic'
        ? toPassword(values.get('credential'))
        : values.get('credential'),
    ),
    capabilities,
    offersWindows,
  };
}

function toSecret(value: Buffer | undefined): Secret | null {
  return value === undefined || value.length === 0 ? null : new Secret(value.toString('utf8'));
}

/** The password in what {@link formatCredentialAnswer} encoded for a header. */
function toPassword(pair: Buffer | undefined): Buffer | undefined {
  const decoded = pair && Buffer.from(pair.toString('latin1'), 'base64');
  return decoded?.subarray(decoded.indexOf(':') + 1);
}

/**
 * Writes an answer for git, all of it or nothing.
 *
 * Only what git needs is in it: after success `git credential approve` hands every attribute to all other
 * helpers, and `git credential-store` writes them to disk in clear.
 *
 * @param answer - A bearer answer needs a git that announced `authtype` (2.46 or newer).
 * @param request - What git announced decides about `ephemeral`.
 */
export function formatCredentialAnswer(
  answer: CredentialAnswer,
  request: CredentialRequest,
): Buffer | Refusal {
  const knowsAuthtype = request.capabilities.has('authtype');
  // A capability counts for what follows it, so the echo comes first.
  const lines: [key: string, value: string][] = knowsAuthtype
    ? [
        ['capability[]', 'authtype'],
        ['ephemeral', '1'],
      ]
    : [];
  if ('bearer' in answer) {
    if (!knowsAuthtype) return { refused: 'this token needs git 2.46 or newer' };
    lines.push(['authtype', 'Bearer'], ['credential', answer.bearer.reveal()]);
  } else if (request.offersWindows) {
    if (!knowsAuthtype) {
      return {
        refused:
          'the server offers to sign in as Windows does, beside which only git 2.46 or newer sends a token',
      };
    }
    // A finished header, so that libcurl has nothing to choose.
    const pair = Buffer.from(`${answer.username}:${answer.password.reveal()}`);
    lines.push(['authtype', 'Basic'], ['credential', pair.toString('base64')]);
  } else {
    lines.push(['username', answer.username], ['password', answer.password.reveal()]);
  }
  if (answer.expiresAtSeconds !== null) {
    if (!Number.isSafeInteger(answer.expiresAtSeconds) || answer.expiresAtSeconds <= 0) {
      return { refused: 'the expiry of the token is not a time' };
    }
    lines.push(['password_expiry_utc', String(answer.expiresAtSeconds)]);
  }
  const unfit = lines.find(([, value]) => value === '' || /[\n\r\0]/.test(value));
  if (unfit) return { refused: `the "${unfit[0]}" to answer is empty or has a line end in it` };
  return Buffer.from(lines.map(([key, value]) => `${key}=${value}\n`).join(''), 'utf8');
}
