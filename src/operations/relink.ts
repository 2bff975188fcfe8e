import { assertTellable, CancelledError, GitlinkError, StoppedLateError, UsageError } from '../errors.ts';
import { signInKind, type LinkMethod, type Provider, type Revocation } from '../providers/provider.ts';
import type { LinkRecord, Records, Restriction } from '../store/link-schema.ts';
import { removeRepositoryList } from '../store/repository-list.ts';
import { isInstallation } from './is-installation.ts';
import type { OperationContext } from './context.ts';
import { assertClientKept, keepSignInClient } from './clients.ts';
import { openLink, openLinkWith } from './host-access.ts';
import { getLink } from './find-link.ts';
import { addIntents } from './intents.ts';
import { dropSecrets, keepSecret } from './keep-secret.ts';
import { assertNotUnlinking, assertStored, requireProvider } from './link-faults.ts';
import { readLinkSecret } from './read-stored.ts';
import { whileReplacing } from './renew-sign-in.ts';
import { toHostRestriction } from './restriction.ts';
import { endMintedTokens, endSignIn, findCredentialPage, type OldCredential } from './revoke-credential.ts';
import { nameItem } from './secret-items.ts';
import { openVerified, toInitialStatus, type VerifiedCredential } from './verify-credential.ts';
import { isGitOnly } from './verify-git-credential.ts';
import { packCredential, tryUnpackCredential } from './stored-credential.ts';
import type { StoredCredential } from './stored-credential.ts';

export interface RelinkRequest {
  readonly verified: VerifiedCredential;
  readonly method: LinkMethod;
  readonly origin: LinkRecord['credentialOrigin'];
  readonly allowAccountChange: boolean;
  /** Whether to end the old credential at the host. */
  readonly revokeOld: boolean;
  /** Milliseconds since the epoch, where the person knows what the host does not tell. */
  readonly expiresAt: number | null;
  readonly caFile: string | null;
  readonly allowHttp: boolean;
  /** Where the passphrase of the encrypted file is read from now on; null for where it was. */
  readonly passphraseFile: string | null;
}

export interface RelinkResult {
  readonly link: LinkRecord;
  /** What became of the old credential at the host; null when it was left alone. */
  readonly oldCredential: OldCredential | null;
}

/**
 * Gives a link a new credential: the new one is stored and in the record before the old one is let go. Nothing
 * renews the old one meanwhile.
 *
 * @throws UsageError when the new credential acts as another account, unless that is allowed.
 * @throws StoppedLateError when the command was stopped while the old one was being ended: the link has the new one.
 */
export async function relink(
  context: OperationContext,
  link: LinkRecord,
  request: RelinkRequest,
): Promise<RelinkResult> {
  assertStored(link);
  assertNotUnlinking(link);
  assertSameAccount(link, request);
  const client = await keepSignInClient(context, { verified: request.verified, storage: link.storage });
  const restriction = await resolveRestriction(context, link, request);
  if (request.revokeOld) await bringToLife(context, link);
  return whileReplacing(context, link.id, () =>
    replace(context, getLink(context.links.read(), link.id), { ...request, restriction }, client),
  );
}

/**
 * A credential for git alone cannot ask for the repositories that its link is limited to; this one can.
 *
 * @returns null where the restriction is right as it stands.
 * @throws NotFoundError for what the new credential does not reach.
 */
async function resolveRestriction(
  context: OperationContext,
  { restriction, host }: LinkRecord,
  { verified, caFile }: RelinkRequest,
): Promise<Restriction | null> {
  const { provider, description, identity } = verified;
  if (restriction.mode === 'unrestricted' || isGitOnly(provider, identity)) return null;
  const { namespaces, repositories } = restriction;
  // Ids mean nothing at another instance.
  const isMoved = host !== description.host;
  if (!isMoved && repositories.every(({ id }) => id !== '')) return null;
  const access = await openVerified(context, verified, caFile);
  const wish = { namespaces, repositories: repositories.map(({ fullName }) => fullName) };
  return toHostRestriction(provider, access, wish);
}

async function replace(
  context: OperationContext,
  link: LinkRecord,
  request: RelinkRequest & { readonly restriction: Restriction | null },
  client: string | null,
): Promise<RelinkResult> {
  const { description, credential, identity } = request.verified;
  // A damaged item is one of the reasons to relink.
  const old = tryUnpackCredential(await readLinkSecret(context, link));
  const newSecret = packCredential(credential);
  const item = nameItem('credential', link.id, context.random);

  let replacedItem = link.credentialItem;
  const settle = (records: Records): Records => {
    // Another relink may have been faster: what the record names now is what is replaced.
    const before = getLink(records, link.id);
    assertNotUnlinking(before);
    assertClientKept(records, client);
    replacedItem = before.credentialItem;
    const links = records.links.map((current): LinkRecord => {
      if (current.id !== link.id) return current;
      return {
        ...current,
        host: description.host,
        flavour: description.flavour,
        hostVersion: description.version,
        organization: description.organization ?? current.organization,
        tenant: description.tenant ?? current.tenant,
        account:
          identity.account.id === null && identity.account.login === null
            ? current.account
            : { ...identity.account },
        credentialKind: identity.credentialKind,
        method: request.method,
        credentialOrigin: request.origin,
        credentialItem: item,
        client,
        restriction: request.restriction ?? current.restriction,
        rotationBegunAt: null,
        ...toInitialStatus(identity),
        checkedAt: context.clock.now(),
        scopes: identity.scopes === null ? null : [...identity.scopes],
        expiresAt: identity.expiresAt ?? request.expiresAt,
        caFile: request.caFile ?? current.caFile,
        allowHttp: request.allowHttp || current.allowHttp,
      };
    });
    // From here on no record names the old secret: should the rest not happen, this does.
    return {
      ...addIntents(records, [replacedItem], link.storage, context.clock.now()),
      links,
      passphraseFile: (link.storage === 'file' ? request.passphraseFile : null) ?? records.passphraseFile,
    };
  };
  context.reporter.status('Storing the credential…');
  const records = await keepSecret(context, link.storage, item, newSecret, settle);

  const isSame = old?.token.equals(credential.token) ?? false;
  const oldCredential = request.revokeOld && !isSame ? await revokeOld(context, link, old, client) : null;
  await dropQuietly(context, link, replacedItem);
  if (link.host !== description.host) removeRepositoryList(context.directories.state, link.id);
  if (oldCredential === 'stopped') {
    const page = findCredentialPage(requireProvider(link), link);
    context.reporter.warn(
      `Stopped on the way. "${link.name}" has its new credential; the old one may still work. Delete it at ${page}`,
    );
    throw new StoppedLateError();
  }
  return { link: getLink(records, link.id), oldCredential };
}

/**
 * The link has its new credential by now; the old secret is named by an intention until it can be removed. That
 * stopping the command keeps it from being removed is told, too: nothing else is left to do.
 */
async function dropQuietly(context: OperationContext, { storage }: LinkRecord, item: string): Promise<void> {
  try {
    await dropSecrets(context, storage, [item], (before) => before);
  } catch (error) {
    if (!(error instanceof GitlinkError)) throw error;
    context.reporter.warn(`The old secret could not be removed from the ${storage}: ${error.message}`);
  }
}

/** An access token that has expired may keep its sign-in from being ended. Best effort: the new credential is here. */
async function bringToLife(context: OperationContext, link: LinkRecord): Promise<void> {
  if (link.credentialKind !== signInKind) return;
  try {
    await (await openLink(context, link)).source.get(null);
  } catch (error) {
    assertTellable(error);
  }
}

/**
 * The link works by now, so that a host that does not answer is told and not thrown.
 *
 * @returns `stopped` where the command was, so that nobody knows whether the host has ended it.
 */
async function revokeOld(
  context: OperationContext,
  link: LinkRecord,
  old: StoredCredential | null,
  client: string | null,
): Promise<OldCredential | 'stopped' | null> {
  const provider = requireProvider(link);
  const pageUrl = findCredentialPage(provider, link);
  if (!old) return { outcome: 'failed', reason: `it is no longer in the ${link.storage}.`, pageUrl };
  if (!provider.revoke && old.signIn === null) return null;
  context.reporter.status('Revoking the old credential…');
  try {
    if (old.minted !== undefined && isInstallation(link))
      return await endMintedTokens(context, link, old.minted);
    if (old.signIn !== null) return await endOldSignIn(context, link, provider, old, client);
    const { access } = await openLinkWith(context, link, old);
    return (await provider.revoke?.(access)) ?? null;
  } catch (error) {
    if (error instanceof CancelledError) return 'stopped';
    assertTellable(error);
    return { outcome: 'failed', reason: error.message, pageUrl };
  }
}

/** @returns null where the host knows one sign-in per client, so that the new one has taken the old one's place. */
async function endOldSignIn(
  context: OperationContext,
  link: LinkRecord,
  provider: Provider,
  old: StoredCredential,
  client: string | null,
): Promise<Revocation | null> {
  const revocation = await endSignIn(context, link, provider, old);
  return revocation.outcome === 'impossible' && client === link.client ? null : revocation;
}

function assertSameAccount(link: LinkRecord, request: RelinkRequest): void {
  const { account } = request.verified.identity;
  if (request.allowAccountChange || link.account.id === null) return;
  const isSameLogin = account.login?.toLowerCase() === link.account.login?.toLowerCase();
  if (account.id === null && (account.login === null || isSameLogin)) return;
  if (account.id === link.account.id && isSameHost(link, request)) return;
  // An app that is installed again gets another number on the same account.
  const isReinstalled = account.kind === 'installation' && isSameLogin;
  if (isReinstalled && isSameHost(link, request)) return;
  if (account.login === link.account.login && !isSameHost(link, request)) return;
  throw new UsageError(
    `The new credential belongs to ${account.login ?? 'another account'}, but "${link.name}" is ${link.account.login ?? 'another account'}.`,
    {
      hint: 'If that is what you want: --allow-account-change. Else make a link of its own with: gitlink link',
    },
  );
}

function isSameHost(link: LinkRecord, request: RelinkRequest): boolean {
  return link.host === request.verified.description.host;
}
