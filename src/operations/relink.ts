import { GitlinkError, UsageError } from '../errors.ts';
import type { Credential, Revocation } from '../providers/provider.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord, Records } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { assertNotUnlinking, openLinkWith, requireProvider } from './host-access.ts';
import { getLink } from './find-link.ts';
import { dropSecrets, keepSecret } from './keep-secret.ts';
import type { VerifiedCredential } from './link-account.ts';
import { nameCredentialItem, packCredential, unpackCredential } from './stored-credential.ts';

export interface RelinkRequest {
  readonly verified: VerifiedCredential;
  readonly allowAccountChange: boolean;
  /** Whether to end the old credential at the host. */
  readonly revokeOld: boolean;
  /** Milliseconds since the epoch, where the person knows what the host does not tell. */
  readonly expiresAt: number | null;
  readonly caFile: string | null;
  readonly allowHttp: boolean;
}

export interface RelinkResult {
  readonly link: LinkRecord;
  /** What became of the old credential at the host; null when it was left alone. */
  readonly oldCredential: Revocation | FailedRevocation | null;
}

/** The old credential may still work: the host could not be asked, or the secret was not in the store any more. */
export interface FailedRevocation {
  readonly outcome: 'failed';
  readonly reason: string;
  readonly pageUrl: string;
}

/**
 * Gives a link a new credential: the new one is stored and in the record before the old one is let go.
 *
 * @throws UsageError when the new credential acts as another account, unless that is allowed.
 */
export async function relink(
  context: OperationContext,
  link: LinkRecord,
  request: RelinkRequest,
): Promise<RelinkResult> {
  const { description, credential, identity } = request.verified;
  assertNotUnlinking(link);
  assertSameAccount(link, request);
  const vault = await context.openVault(link.storage);
  const old = tryUnpack((await vault.read([link.credentialItem])).get(link.credentialItem));
  const newSecret = packCredential({ ...credential, kind: identity.credentialKind });
  const item = nameCredentialItem(link.id, context.random.bytes(4).toString('hex'));

  let replacedItem = link.credentialItem;
  const settle = (records: Records): Records => {
    // Another relink may have been faster: what the record names now is what is replaced.
    replacedItem = getLink(records, link.id).credentialItem;
    const links = records.links.map((current): LinkRecord => {
      if (current.id !== link.id) return current;
      return {
        ...current,
        host: description.host,
        flavour: description.flavour,
        hostVersion: description.version,
        account: identity.account.id === null ? current.account : { ...identity.account },
        credentialKind: identity.credentialKind,
        credentialOrigin: 'pasted',
        credentialItem: item,
        status: 'ok',
        statusReason: null,
        checkedAt: context.clock.now(),
        scopes: identity.scopes === null ? null : [...identity.scopes],
        expiresAt: identity.expiresAt ?? request.expiresAt,
        caFile: request.caFile ?? current.caFile,
        allowHttp: request.allowHttp || current.allowHttp,
      };
    });
    // From here on no record names the old secret: should the rest not happen, this does.
    const intent = { item: replacedItem, storage: link.storage, createdAt: context.clock.now() };
    return { ...records, links, intents: [...records.intents, intent] };
  };
  context.reporter.status('Storing the credential…');
  const records = await keepSecret(context, link.storage, item, newSecret, settle);

  const isSame = old?.token.equals(credential.token) ?? false;
  const oldCredential = request.revokeOld && !isSame ? await revokeOld(context, link, old) : null;
  await dropSecrets(context, link.storage, [replacedItem], (before) => before);
  return { link: getLink(records, link.id), oldCredential };
}

/** A damaged item is one of the reasons to relink. */
function tryUnpack(item: Secret | undefined): Credential | null {
  try {
    return item ? unpackCredential(item) : null;
  } catch (error) {
    if (error instanceof GitlinkError) return null;
    throw error;
  }
}

/** The link works by now, so that a host that does not answer is told and not thrown. */
async function revokeOld(
  context: OperationContext,
  link: LinkRecord,
  old: Credential | null,
): Promise<Revocation | FailedRevocation | null> {
  const provider = requireProvider(link);
  const pageUrl = provider.tokenPage(link.host, []).url;
  if (!old) return { outcome: 'failed', reason: `it is no longer in the ${link.storage}.`, pageUrl };
  if (!provider.revoke) return null;
  context.reporter.status('Revoking the old credential…');
  try {
    const { access } = await openLinkWith(context, link, old);
    return await provider.revoke(access);
  } catch (error) {
    if (!(error instanceof GitlinkError) || error.code === 'cancelled') throw error;
    return { outcome: 'failed', reason: error.message, pageUrl };
  }
}

function assertSameAccount(link: LinkRecord, request: RelinkRequest): void {
  const { account } = request.verified.identity;
  if (request.allowAccountChange || link.account.id === null || account.id === null) return;
  if (account.id === link.account.id && isSameHost(link, request)) return;
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
