import { ForbiddenError } from '../errors.ts';
import { installationKind, type Capability, type Provider } from '../providers/provider.ts';
import type { WebhookTarget } from '../store/link-schema.ts';
import type { OpenLink } from './host-access.ts';

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

/**
 * Refuses a credential that cannot change webhooks before a run makes a secret for them. A token's scopes may have
 * been widened since they were read, so that the host is asked again before its lack is believed.
 *
 * @throws ForbiddenError where the host says that the scope is missing; whatever asking it threw.
 */
export async function assertMayChangeWebhooks(
  { link, provider, access }: OpenLink,
  at: WebhookTarget['at'],
): Promise<void> {
  // What an installation may do is its owner's to change, and the link knows of it only what was asked for.
  if (link.credentialKind === installationKind) return;
  const capability = at === 'namespace' ? 'namespace-webhooks' : 'webhooks';
  const findLack = (granted: readonly string[] | null): string | null =>
    findSureLack(provider, granted, capability, link.credentialKind);
  if (findLack(link.scopes) === null) return;
  const { scopes } = await provider.identify(access);
  const scope = findLack(scopes ?? link.scopes);
  if (scope === null) return;
  const wanted = at === 'namespace' ? 'clone,webhooks,namespace-webhooks' : 'clone,webhooks';
  throw new ForbiddenError(`"${link.name}" lacks the scope ${scope} that webhooks need.`, {
    hint: `Give it a new credential: gitlink relink ${link.name} --for ${wanted}`,
  });
}

/**
 * The scope without which nothing of a capability works. Where several scopes make it up, some of it may work with
 * a part of them; and below an `admin:` scope, one that may write changes everything and only deletes nothing.
 */
function findSureLack(
  provider: Provider,
  granted: readonly string[] | null,
  capability: Capability,
  credentialKind: string,
): string | null {
  const [scope, ...others] = (provider.scopesOf?.(credentialKind) ?? provider.scopes)[capability] ?? [];
  if (granted === null || scope === undefined || others.length > 0) return null;
  if (granted.includes(scope.replace(/^admin:/, 'write:'))) return null;
  return provider.compareScopes(granted, [scope], credentialKind).missing[0] ?? null;
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
