import { installationKind, type Capability, type Provider } from '../providers/provider.ts';

/** A scope that a credential lacks, and what will not work without it. */
export interface MissingScope {
  readonly scope: string;
  readonly neededFor: readonly Capability[];
}

export interface ScopeJudgement {
  readonly needed: readonly string[];
  readonly missing: readonly MissingScope[];
  readonly excess: readonly string[];
}

/**
 * What a link is wanted for where nobody says. An app's tokens are narrow and end within the hour, so that pushing is
 * in it.
 */
export function toUsualCapabilities(credentialKind: string): readonly Capability[] {
  return credentialKind === installationKind ? ['clone', 'push', 'webhooks'] : ['clone', 'webhooks'];
}

/** What every link needs beside what it is wanted for. */
const alwaysWanted: readonly Capability[] = ['identity', 'list', 'namespaces'];

/**
 * Compares what a credential may do with what it is wanted for.
 *
 * @param granted - The credential's scopes; null where the host does not tell.
 * @returns null where nothing can be said.
 */
export function judgeScopes(
  provider: Provider,
  granted: readonly string[] | null,
  wanted: readonly Capability[],
  credentialKind: string,
): ScopeJudgement | null {
  if (granted === null) return null;
  const capabilities = [...new Set([...alwaysWanted, ...wanted])];
  const table = provider.scopesOf?.(credentialKind) ?? provider.scopes;
  const needed = [...new Set(capabilities.flatMap((capability) => table[capability] ?? []))];
  const { missing, excess } = provider.compareScopes(granted, needed, credentialKind);
  return {
    needed: needed.sort(),
    missing: missing.map((scope) => ({
      scope,
      neededFor: capabilities.filter((capability) => table[capability]?.includes(scope)),
    })),
    excess,
  };
}

/** What each capability is, in words that complete "needed to …". */
export const capabilityWords: Readonly<Record<Capability, string>> = {
  identity: 'know the account',
  list: 'list repositories',
  namespaces: 'list organizations',
  clone: 'clone',
  push: 'push',
  webhooks: 'manage webhooks',
  'namespace-webhooks': 'manage webhooks of organizations',
  admin: 'audit the instance',
};
