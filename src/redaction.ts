import { listLiveSecrets } from './secret.ts';

const replacement = '[redacted]';

/**
 * What secrets of the supported hosts look like, open-ended because their lengths change without notice
 * (GitHub's `ghs_` grew from 40 to about 520 characters in 2026).
 */
const secretPatterns: readonly RegExp[] = [
  /\bgh[pousr]_[A-Za-z0-9._-]{20,}/g,
  /\bgithub_pat_\w{20,}/g,
  /\bgl(?:pat|oas|rt|dt|ptt|ft|imt|agent|soat|cbt)-[\w.=-]{16,}/g,
  /\bAT(?:ATT|CTT)3[\w=-]{20,}/g,
  /\bATBB\w{16,}/g,
  /\bBBDC-[\w+/@-]{30,}/g,
  /\bwhsec_[\w+/=]{20,}/g,
  /\bgt[ao]_[a-z0-9]{20,}/g,
  /\b[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{14}AAAAAZDO[A-Za-z0-9]{4}/g,
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
  /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,8192}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?/g,
];

/**
 * Values that are secret because of the word before them. Behind `token` and its like most words of a sentence
 * are none, so that one digit or capital is asked for.
 */
const contextPatterns: readonly RegExp[] = [
  /\b((?:[Bb]earer|BEARER|[Bb]asic|BASIC|[Tt]oken|TOKEN)[ =:]{1,3})(?=[\w.~+/=-]{0,256}[A-Z0-9])[\w.~+/=-]{8,}/g,
  /(:\/\/)[^\s/:@]{1,256}:[^\s/@]{1,1024}(?=@)/g,
  /\b((?:access_token|refresh_token|client_secret|password|code_verifier|private_token)["']?[=:]\s?["']?)[^\s"'&]{4,}/gi,
];

/**
 * Takes every secret out of a text: the live ones of this process by value, in the encodings in which they
 * travel, and anything that has the shape of a secret.
 *
 * @param text - A message, trace line or stack.
 * @returns The text with `[redacted]` in place of each secret.
 */
export function redact(text: string): string {
  let result = text;
  // The longest first: a secret may hold another one.
  for (const value of [...listLiveSecrets()].sort((a, b) => b.length - a.length)) {
    for (const form of toEncodedForms(value)) {
      if (result.includes(form)) result = result.replaceAll(form, replacement);
    }
  }
  for (const pattern of secretPatterns) result = result.replace(pattern, replacement);
  for (const pattern of contextPatterns) result = result.replace(pattern, `$1${replacement}`);
  return result;
}

function toEncodedForms(value: string): ReadonlySet<string> {
  const bytes = Buffer.from(value, 'utf8');
  return new Set([
    value,
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    ...toUserinfoForms(bytes),
  ]);
}

/** The part of `base64(user:token)` that belongs to the token, for each of the three alignments. */
function toUserinfoForms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((shift) => {
    const padded = Buffer.concat([Buffer.alloc(shift, 'x'), bytes]).toString('base64');
    const inner = padded.replace(/=+$/, '').slice(shift === 0 ? 0 : 4, -2);
    return inner.length >= 8 ? [inner] : [];
  });
}
