import { AuthError, ForbiddenError, UsageError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { readRepositoryList } from '../store/repository-list.ts';
import { recordUsage, type UsageEntry } from '../store/usage-log.ts';
import { isAllowed } from './choose-link.ts';
import type { OperationContext } from './context.ts';
import { createSource } from './credential-source.ts';
import { assertNotUnlinking, secretMissing } from './link-faults.ts';
import { assertPlainPath } from './restriction.ts';
import { unpackCredential } from './stored-credential.ts';

/** A token that a program gets. */
export interface HandedOut {
  readonly token: Secret;
  /** Milliseconds since the epoch; null for never or unknown. */
  readonly expiresAt: number | null;
  /** Whether the token itself reaches further than the link may be used. */
  readonly reachesFurther: boolean;
}

/**
 * Gives out a link's token, fresh, for one use by a program, and notes that.
 *
 * @param repository - What it is for (`OWNER/NAME`); null where that was not said.
 * @throws ForbiddenError outside of the link's restriction, or without a repository where there is one; AuthError
 * for a credential that has ended.
 */
export async function handOut(
  context: OperationContext,
  link: LinkRecord,
  repository: string | null,
  by: UsageEntry['by'],
): Promise<HandedOut> {
  assertNotUnlinking(link);
  assertWithinRestriction(context, link, repository);
  const vault = await context.openVault(link.storage);
  const item = (await vault.read([link.credentialItem])).get(link.credentialItem);
  if (!item) throw secretMissing(link);
  if (link.expiresAt !== null && link.expiresAt <= context.clock.now()) {
    const date = new Date(link.expiresAt).toISOString().slice(0, 10);
    throw new AuthError(`The credential of "${link.name}" ended on ${date}.`, {
      hint: `Give the link a new one with: gitlink relink ${link.name}`,
    });
  }
  const source = createSource(context, link, unpackCredential(item));
  const { token } = await source.get(null);
  recordUsage(context.directories.state, { linkId: link.id, at: context.clock.now(), by, path: repository });
  return {
    token,
    expiresAt: source.current.signIn?.tokens.expiresAt ?? link.expiresAt,
    reachesFurther: link.restriction.mode === 'restricted',
  };
}

function assertWithinRestriction(
  { directories }: OperationContext,
  link: LinkRecord,
  repository: string | null,
): void {
  if (repository !== null) assertPlainPath(repository);
  if (link.restriction.mode === 'unrestricted') return;
  if (repository === null) {
    throw new ForbiddenError(`"${link.name}" is restricted, so the repository must be named.`, {
      hint: 'Name it with: --repo OWNER/NAME',
    });
  }
  if (!repository.includes('/')) {
    throw new UsageError(`"${repository}" names no repository.`, {
      hint: 'Repositories are written OWNER/NAME.',
    });
  }
  const listRepositories = (each: LinkRecord) => readRepositoryList(directories.state, each.id);
  if (isAllowed(link, repository, { listRepositories })) return;
  throw new ForbiddenError(`${repository} is outside the restriction of "${link.name}".`, {
    hint: `To allow it: gitlink restrict ${link.name} --add --repo ${repository}`,
  });
}
