/** How much a finding matters; the last is the worst. */
export const severities = ['info', 'warning', 'error'] as const;
export type Severity = (typeof severities)[number];

/** Something that an admin should know. */
export interface Finding {
  readonly severity: Severity;
  /** Stays the same for as long as the finding means the same. */
  readonly code: string;
  /** The link's name; null for what belongs to none. */
  readonly link: string | null;
  /** What it is about: an account at a host, a repository, a client. */
  readonly subject: string;
  /** What was seen, as a part of a sentence. */
  readonly evidence: string;
  /** The command, or the page, that settles it. */
  readonly fix: string;
}

/** The worst first, then by link and subject, so that two runs can be compared. */
export function sortFindings(findings: readonly Finding[]): readonly Finding[] {
  const rank = ({ severity }: Finding): number => -severities.indexOf(severity);
  const name = ({ link, code, subject }: Finding): string => [link ?? '\uffff', code, subject].join('\0');
  return [...findings].sort((a, b) => rank(a) - rank(b) || (name(a) < name(b) ? -1 : 1));
}

/** Whether anything is at least so bad. */
export function hasFinding(findings: readonly Finding[], least: Severity): boolean {
  return findings.some(({ severity }) => severities.indexOf(severity) >= severities.indexOf(least));
}

const dayMs = 24 * 60 * 60 * 1000;

/** The days before an end at which it is told again, each with how much it matters by then. */
const thresholds: readonly (readonly [days: number, severity: Severity])[] = [
  [1, 'error'],
  [7, 'warning'],
  [14, 'warning'],
  [30, 'info'],
];

/** @returns null for an end that is far away. */
export function judgeEnd(
  expiresAt: number,
  now: number,
): { readonly severity: Severity; readonly evidence: string } | null {
  const date = new Date(expiresAt).toISOString().slice(0, 10);
  if (expiresAt <= now) return { severity: 'error', evidence: `ended on ${date}` };
  const left = expiresAt - now;
  const found = thresholds.find(([days]) => left <= days * dayMs);
  if (!found) return null;
  const days = Math.ceil(left / dayMs);
  return { severity: found[1], evidence: `ends on ${date}, in ${days} day${days === 1 ? '' : 's'}` };
}

const unusedDays = 90;

/** @param since - When it was used last, or made. @returns null for what is in use. */
export function judgeUse(lastUsedAt: number | null, since: number, now: number): string | null {
  if (now - (lastUsedAt ?? since) <= unusedDays * dayMs) return null;
  const date = new Date(lastUsedAt ?? since).toISOString().slice(0, 10);
  return lastUsedAt === null ? `made on ${date} and never used` : `last used on ${date}`;
}
