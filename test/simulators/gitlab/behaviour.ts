/** What differs between versions, as `providers/gitlab.md` §13 tells; handlers ask this, never the version. */
export interface GitlabBehaviour {
  /** As the API writes it, `19.6.0-ee`. */
  readonly version: string;
  /** Group webhooks exist in the enterprise edition only. */
  readonly isEnterprise: boolean;
  readonly hasMetadata: boolean;
  readonly hasOwnTokenRoute: boolean;
  readonly hasSelfRotate: boolean;
  readonly takesExpiryOnRotate: boolean;
  /** A revoked token at a rotate endpoint ends its whole family. */
  readonly detectsReuse: boolean;
  readonly hasSelfRotateScope: boolean;
  readonly hasAssociations: boolean;
  readonly hasHookTest: boolean;
  readonly limitsHookTests: boolean;
  /** Name, description, custom headers. */
  readonly hasHookNames: boolean;
  readonly hasHookEvents: boolean;
  /** Every failure counts alike; before, four client errors disabled a hook for ever. */
  readonly disablesHooksAlike: boolean;
  /** `signing_token`, `token_present`, `signing_token_present`; before, `signing_token` is silently ignored. */
  readonly hasSigningTokens: boolean;
  readonly hasDeviceFlow: boolean;
  readonly hasUserApplications: boolean;
  readonly hasFineGrainedTokens: boolean;
  readonly showsLastUsedIps: boolean;
  readonly showsGranularScopes: boolean;
}

/**
 * Describes one version.
 *
 * @param version - As `19.6.0-ee`; without `-ee` the community edition.
 */
export function describeBehaviour(version: string): GitlabBehaviour {
  const [major = 0, minor = 0] = (version.split('-')[0] ?? '').split('.').map(Number);
  const since = (wantedMajor: number, wantedMinor: number) =>
    major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return {
    version,
    isEnterprise: version.endsWith('-ee'),
    hasMetadata: since(15, 2),
    hasOwnTokenRoute: since(15, 5),
    hasSelfRotate: since(16, 10),
    takesExpiryOnRotate: since(16, 6),
    detectsReuse: since(16, 3),
    hasSelfRotateScope: since(17, 9),
    hasAssociations: since(17, 4),
    hasHookTest: since(16, 11),
    limitsHookTests: since(17, 1),
    hasHookNames: since(17, 1),
    hasHookEvents: since(17, 3),
    disablesHooksAlike: since(17, 11),
    hasSigningTokens: since(19, 0),
    hasDeviceFlow: since(17, 3),
    hasUserApplications: since(19, 0),
    hasFineGrainedTokens: since(18, 10),
    showsLastUsedIps: since(19, 4),
    showsGranularScopes: since(19, 6),
  };
}
