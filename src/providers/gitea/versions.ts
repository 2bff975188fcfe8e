/** What a version string of Gitea or Forgejo tells. */
export interface ServerVersion {
  readonly flavour: 'gitea' | 'forgejo';
  readonly major: number;
  readonly minor: number;
}

/**
 * Reads a version string. Forgejo's names the Gitea version that it is compatible with, such as
 * `16.0.0+gitea-1.22.0`.
 *
 * @returns null for a string of another form, such as a development build's commit.
 */
export function parseVersion(text: string | null): ServerVersion | null {
  const match = /^v?(\d+)\.(\d+)/.exec(text ?? '');
  if (!match || text === null) return null;
  return {
    flavour: text.includes('+gitea-') ? 'forgejo' : 'gitea',
    major: Number(match[1]),
    minor: Number(match[2]),
  };
}

/** Whether it is Forgejo, which lacks the routes below and manages tokens by password alone. */
export function isForgejo(text: string | null): boolean {
  return parseVersion(text)?.flavour === 'forgejo';
}

/** `GET` and `DELETE /token`: Gitea 1.27. An unknown version is worth the probe. */
export function mayDescribeOwnToken(text: string | null): boolean {
  const version = parseVersion(text);
  if (version === null) return true;
  return version.flavour === 'gitea' && (version.major > 1 || version.minor >= 27);
}

/** Whether the server limits a sign-in to its scopes: Gitea 1.23, Forgejo 9. */
export function limitsSignIns({ flavour, major, minor }: ServerVersion): boolean {
  return flavour === 'forgejo' ? major >= 9 : major > 1 || minor >= 23;
}

/** Hooks with names: Gitea 1.26; Forgejo has none. */
export function hasHookNames(text: string | null): boolean {
  const version = parseVersion(text);
  return version?.flavour === 'gitea' && (version.major > 1 || version.minor >= 26);
}
