import { AuthError, ForbiddenError, UnsupportedError, UsageError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { readRepositoryList } from '../store/repository-list.ts';
import { recordUsage, type UsageEntry } from '../store/usage-log.ts';
import { isAllowed } from './git-place.ts';
import type { OperationContext } from './context.ts';
import { createSource } from './credential-source.ts';
import { isInstallation } from './is-installation.ts';
import { endMintedToken, mintOnce } from './apps/mint-token.ts';
import { assertNotUnlinking, requireProvider, secretMissing } from './link-faults.ts';
import { readLinkSecret } from './read-stored.ts';
import { assertPlainPath } from './restriction.ts';
import { unpackCredential, type StoredCredential } from './stored-credential.ts';

/** A token that a program gets. */
export interface HandedOut {
  readonly token: Secret;
  /** Milliseconds since the epoch; null for never or unknown. */
  readonly expiresAt: number | null;
  /** Whether the token itself reaches further than the link may be used. */
  readonly reachesFurther: boolean;
  /** Ends the token at the host; null for one that others use, too. */
  readonly end: (() => Promise<void>) | null;
}

/** What a token is wanted for. */
export interface HandOutWish {
  /** `OWNER/NAME`; null where that was not said. */
  readonly repository: string | null;
  /** What it shall be able to do, in the host's words; null for all that the credential can. */
  readonly permissions: readonly string[] | null;
}

/**
 * Gives out a link's token, fresh, for one use by a program, and notes that.
 *
 * @throws ForbiddenError outside of the link's restriction, or without a repository where there is one; AuthError
 * for a credential that has ended.
 */
export async function handOut(
  context: OperationContext,
  link: LinkRecord,
  wish: HandOutWish,
  by: UsageEntry['by'],
): Promise<HandedOut> {
  const { repository } = wish;
  assertNotUnlinking(link);
  assertWithinRestriction(context, link, repository);
  if (isInstallation(link)) return handOutMinted(context, link, wish, by);
  if (wish.permissions !== null) {
    throw new UnsupportedError(
      `${requireProvider(link).displayName} cannot make a narrower token of the one that is linked.`,
      { hint: 'Leave --permission out, or link a token that may do less.' },
    );
  }
  const item = await readLinkSecret(context, link);
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
    expiresAt: findEnd(source.current) ?? link.expiresAt,
    reachesFurther: link.restriction.mode === 'restricted',
    end: null,
  };
}

/** When the token itself ends, where it is one of those that are replaced all the time. */
function findEnd({ signIn, minted, token }: StoredCredential): number | null {
  const kept = minted?.find((each) => each.token.equals(token));
  return kept?.expiresAt ?? signIn?.tokens.expiresAt ?? null;
}

/** A token of its own, as narrow as was asked for, that nothing else uses. */
async function handOutMinted(
  context: OperationContext,
  link: LinkRecord,
  wish: HandOutWish,
  by: UsageEntry['by'],
): Promise<HandedOut> {
  for (const permission of wish.permissions ?? []) {
    if (/^[a-z_]+:(?:read|write|admin)$/.test(permission)) continue;
    throw new UsageError(`"${permission}" is no permission with its level.`, {
      hint: 'For example: --permission contents:read',
    });
  }
  context.reporter.status('Minting a token…');
  const { token, expiresAt } = await mintOnce(context, link, wish);
  recordUsage(context.directories.state, {
    linkId: link.id,
    at: context.clock.now(),
    by,
    path: wish.repository,
  });
  return {
    token,
    expiresAt,
    reachesFurther: false,
    end: async () => void (await endMintedToken(context, link, token)),
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
