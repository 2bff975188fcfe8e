import { NotFoundError, UsageError } from '../errors.ts';
import type { Revocation } from '../providers/provider.ts';
import type { LinkRecord, Records } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { openLinkWith } from './host-access.ts';
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
  /** What became of the old credential at the host; null when it was left alone or could not be read. */
  readonly oldCredential: Revocation | null;
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
  assertSameAccount(link, request);
  const vault = await context.openVault(link.storage);
  const oldSecret = (await vault.read([link.credentialItem])).get(link.credentialItem);
  const newSecret = packCredential({ ...credential, kind: identity.credentialKind });
  const item = nameCredentialItem(link.id, context.random.bytes(4).toString('hex'));

  const settle = (records: Records): Records => {
    if (!records.links.some(({ id }) => id === link.id)) {
      throw new NotFoundError(`"${link.name}" was unlinked meanwhile.`);
    }
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
    return { ...records, links };
  };
  context.reporter.status('Storing the credential…');
  const records = await keepSecret(context, link.storage, item, newSecret, settle);

  let oldCredential: Revocation | null = null;
  const isSame = oldSecret !== undefined && unpackCredential(oldSecret).token.equals(credential.token);
  if (request.revokeOld && oldSecret && !isSame) {
    const { provider, access } = await openLinkWith(context, link, unpackCredential(oldSecret));
    context.reporter.status('Revoking the old credential…');
    oldCredential = (await provider.revoke?.(access)) ?? null;
  }
  await dropSecrets(context, link.storage, [link.credentialItem], (before) => before);
  const changed = records.links.find(({ id }) => id === link.id);
  if (!changed) throw new NotFoundError(`"${link.name}" was unlinked meanwhile.`);
  return { link: changed, oldCredential };
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
