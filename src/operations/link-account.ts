import { NotFoundError, UsageError } from '../errors.ts';
import type { LinkMethod } from '../providers/provider.ts';
import type { LinkRecord, Records, Restriction, Storage } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { assertClientKept, keepSignInClient } from './clients.ts';
import { keepSecret } from './keep-secret.ts';
import { nameItem } from './secret-items.ts';
import { packCredential } from './stored-credential.ts';
import { toHostRestriction, toUncheckedRestriction, type RestrictionWish } from './restriction.ts';
import { isGitOnly } from './verify-git-credential.ts';
import { openVerified, toInitialStatus, type VerifiedCredential } from './verify-credential.ts';
import { toInitialTarget } from './webhook-target.ts';

const linkNamePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/**
 * @param advice - What to do where it is taken.
 * @throws UsageError for a name of another form, a reserved one, or one that is taken.
 */
export function assertFreeName(
  records: Records,
  name: string,
  advice = `Choose another with --name, or give that link a new credential: gitlink relink ${name}`,
): void {
  if (!linkNamePattern.test(name)) {
    throw new UsageError(`"${name}" cannot be a link's name.`, {
      hint: 'Lower-case letters, digits, dots, hyphens and underscores, beginning with a letter or digit, at most 63.',
    });
  }
  if (name === 'env') throw new UsageError('The name "env" is kept for links from the environment.');
  if (records.links.some((link) => link.name === name)) {
    throw new UsageError(`There is already a link named "${name}".`, { hint: advice });
  }
}

/** `gitea`, else `gitea-<login>`, else with a number. */
function chooseName(records: Records, provider: string, login: string | null): string {
  const taken = new Set(records.links.map((link) => link.name));
  const suffix = (login ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '-')
    .slice(0, 40);
  const wishes = [provider, ...(suffix ? [`${provider}-${suffix}`] : [])];
  const free = wishes.find((wish) => !taken.has(wish));
  if (free) return free;
  const stem = wishes.at(-1) ?? provider;
  for (let number = 2; ; number += 1) {
    if (!taken.has(`${stem}-${number}`)) return `${stem}-${number}`;
  }
}

export interface LinkRequest {
  readonly verified: VerifiedCredential;
  /** Null for the usual name. */
  readonly name: string | null;
  readonly method: LinkMethod;
  readonly origin: LinkRecord['credentialOrigin'];
  readonly storage: Storage;
  /** What to limit the link to; null for nothing. */
  readonly restriction: RestrictionWish | null;
  /** Milliseconds since the epoch, where the person knows what the host does not tell. */
  readonly expiresAt: number | null;
  /** Where webhooks of the link will deliver to; null for what is named later. */
  readonly webhookUrl: string | null;
  readonly caFile: string | null;
  readonly allowHttp: boolean;
  readonly passphraseFile: string | null;
}

/**
 * Makes a link of a verified credential; when it returns, secret and record are durable.
 *
 * @throws NotFoundError when the restriction names what the account cannot reach.
 * @throws UsageError when the name was taken meanwhile.
 */
export async function linkAccount(context: OperationContext, request: LinkRequest): Promise<LinkRecord> {
  const { provider, description, credential, identity } = request.verified;
  const restriction = await findRestriction(context, request);
  const webhook = request.webhookUrl === null ? null : toInitialTarget(request.webhookUrl, request.allowHttp);
  const clientId = await keepSignInClient(context, request);
  const id = context.random.uuid();
  const item = nameItem('credential', id, context.random);
  const now = context.clock.now();

  function settle(records: Records): Records {
    assertClientKept(records, clientId);
    const name = request.name ?? chooseName(records, provider.id, identity.account.login);
    assertFreeName(records, name);
    const link: LinkRecord = {
      id,
      name,
      provider: provider.id,
      flavour: description.flavour,
      host: description.host,
      hostVersion: description.version,
      organization: description.organization ?? null,
      tenant: description.tenant ?? null,
      method: request.method,
      account: { ...identity.account },
      credentialKind: identity.credentialKind,
      credentialOrigin: request.origin,
      credentialItem: item,
      client: clientId,
      rotationBegunAt: null,
      restriction,
      ...toInitialStatus(identity),
      checkedAt: now,
      scopes: identity.scopes === null ? null : [...identity.scopes],
      expiresAt: identity.expiresAt ?? request.expiresAt,
      createdAt: now,
      storage: request.storage,
      webhook,
      caFile: request.caFile,
      allowHttp: request.allowHttp,
    };
    return {
      ...records,
      links: [...records.links, link],
      passphraseFile: (request.storage === 'file' ? request.passphraseFile : null) ?? records.passphraseFile,
    };
  }

  context.reporter.status('Storing the credential…');
  const records = await keepSecret(context, request.storage, item, packCredential(credential), settle);
  const made = records.links.find((link) => link.id === id);
  if (!made) throw new NotFoundError('The link was removed while it was being made.');
  return made;
}

async function findRestriction(
  context: OperationContext,
  { verified, restriction: wish, caFile }: LinkRequest,
): Promise<Restriction> {
  if (wish === null) return { mode: 'unrestricted' };
  const { provider, identity } = verified;
  // Who waits for an owner's consent sees nothing yet.
  const isBlind = isGitOnly(provider, identity) || identity.hindrance?.status === 'pending';
  if (isBlind) return toUncheckedRestriction(wish);
  const access = await openVerified(context, verified, caFile);
  return toHostRestriction(provider, access, wish);
}
