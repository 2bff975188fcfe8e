/** What differs between versions, as `providers/bitbucket-data-center.md` tells; handlers ask this, never the version. */
export interface DcBehaviour {
  readonly version: string;
  /** `/repos` knows `projectkey` and `archived`. */
  readonly hasArchiving: boolean;
  readonly hasOAuth: boolean;
  readonly hasProjectHooks: boolean;
  /** Tokens count below `/rest` and `/scm` alone. */
  readonly confinesTokens: boolean;
  /** Admins can switch Basic authentication off. */
  readonly canBlockBasic: boolean;
  /** Times of commits in payloads are texts. */
  readonly hasIsoTimes: boolean;
}

/** Describes one version, as `9.4.3`. */
export function describeBehaviour(version: string): DcBehaviour {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const since = (wantedMajor: number, wantedMinor: number, wantedPatch = 0) =>
    major > wantedMajor ||
    (major === wantedMajor && (minor > wantedMinor || (minor === wantedMinor && patch >= wantedPatch)));
  const isPatched = (line: string, from: number) => version.startsWith(`${line}.`) && patch >= from;
  return {
    version,
    hasArchiving: since(8, 0),
    hasOAuth: since(7, 20),
    hasProjectHooks: since(8, 8),
    confinesTokens: since(9, 3, 2) || isPatched('8.9', 22) || isPatched('8.19', 12),
    canBlockBasic: since(9, 4),
    hasIsoTimes: since(10, 0),
  };
}
