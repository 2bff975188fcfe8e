import { ForbiddenError, NotFoundError, UnsupportedError, UsageError } from '../errors.ts';
import { toDisplayHost } from '../http/base-url.ts';
import type { ClientIdentity } from '../providers/oauth-support.ts';
import type { HostDescription, Provider } from '../providers/provider.ts';
import { getProvider } from '../providers/registry.ts';
import type { Secret } from '../secret.ts';
import type { ClientRecord, Records, Storage } from '../store/link-schema.ts';
import { nameRedirectUri } from './client-redirect.ts';
import { requireOAuth } from './client-identity.ts';
import type { OperationContext } from './context.ts';
import { createFixedSource } from './credential-source.ts';
import { openAccess } from './host-access.ts';
import { dropSecrets, keepSecret } from './keep-secret.ts';
import { listClientItems, nameItem } from './secret-items.ts';
import type { VerifiedCredential } from './verify-credential.ts';

/** What is known of a client before it is on record. */
export interface ClientRequest {
  readonly provider: Provider['id'];
  readonly host: string;
  readonly identity: ClientIdentity;
  readonly registrationId: string | null;
  readonly callbackPort: number | null;
}

/**
 * Keeps a client, its secret first. One that is known already takes the new secret and port.
 *
 * @returns its record, durable.
 */
export async function keepClient(
  context: OperationContext,
  wished: Storage,
  request: ClientRequest,
): Promise<ClientRecord> {
  const { identity } = request;
  const known = findRegistered(context.links.read(), request);
  // An App's key lies there already, and all of a client lies in one store.
  const storage = known?.app ? known.storage : wished;
  const id = known?.id ?? context.random.uuid();
  const secretItem = identity.secret === null ? null : nameItem('client', id, context.random);
  let replaced: ClientRecord | null = null;
  const settle = (records: Records): Records => {
    replaced = findRegistered(records, request);
    const record: ClientRecord = {
      id: replaced?.id ?? id,
      provider: request.provider,
      host: request.host,
      clientId: identity.id,
      secretItem: secretItem ?? replaced?.secretItem ?? null,
      storage: secretItem === null ? (replaced?.storage ?? storage) : storage,
      registrationId: request.registrationId ?? replaced?.registrationId ?? null,
      callbackPort: request.callbackPort ?? replaced?.callbackPort ?? null,
      app: replaced?.app ?? null,
      createdAt: replaced?.createdAt ?? context.clock.now(),
    };
    return { ...records, clients: [...records.clients.filter((each) => each.id !== record.id), record] };
  };
  const records =
    identity.secret === null || secretItem === null
      ? await context.links.change(settle)
      : await keepSecret(context, storage, secretItem, identity.secret, settle);
  await dropReplaced(context, replaced, secretItem);
  const kept = findRegistered(records, request);
  if (kept) return kept;
  throw new NotFoundError('The client was removed while it was being kept.');
}

/**
 * Keeps the client of a sign-in that is not on record yet: without it the sign-in could not be renewed.
 *
 * @returns its id in the records; null for a credential that needs none.
 */
export async function keepSignInClient(
  context: OperationContext,
  { verified, storage }: { readonly verified: VerifiedCredential; readonly storage: Storage },
): Promise<string | null> {
  const { client, provider, description } = verified;
  if (client === null) return null;
  const { identity, callbackPort, record } = client;
  if (record !== null && record.callbackPort === callbackPort) return record.id;
  const request = {
    provider: provider.id,
    host: description.host,
    identity,
    registrationId: record?.registrationId ?? null,
    callbackPort,
  };
  return (await keepClient(context, storage, request)).id;
}

/** @throws NotFoundError for a client that was removed while its sign-in was under way. */
export function assertClientKept(records: Records, id: string | null): void {
  if (id === null || records.clients.some((client) => client.id === id)) return;
  throw new NotFoundError('The client was removed while its sign-in was under way.', {
    hint: 'Add it again with: gitlink client add',
  });
}

async function dropReplaced(
  context: OperationContext,
  replaced: ClientRecord | null,
  secretItem: string | null,
): Promise<void> {
  if (secretItem === null || replaced?.secretItem == null) return;
  await dropSecrets(context, replaced.storage, [replaced.secretItem], (records) => records);
}

function findRegistered(records: Records, { provider, host, identity }: ClientRequest): ClientRecord | null {
  const isSame = (each: ClientRecord): boolean =>
    each.provider === provider && each.host === host && each.clientId === identity.id;
  return records.clients.find(isSame) ?? null;
}

/** The clients of one host. */
export function listClientsOf(records: Records, provider: string, host: string): readonly ClientRecord[] {
  return records.clients.filter((client) => client.provider === provider && client.host === host);
}

/**
 * Finds the client that a person means: by its id at the host, or by a host that has only one.
 *
 * @param word - Null for the only one there is.
 * @throws NotFoundError, or UsageError when several fit.
 */
export function findClient(records: Records, word: string | null): ClientRecord {
  const { clients } = records;
  const fits = (client: ClientRecord): boolean =>
    word === null || client.clientId === word || client.host === word || toDisplayHost(client.host) === word;
  const [found, ...others] = clients.filter(fits);
  const known = clients.map(({ clientId, host }) => `${clientId} (${toDisplayHost(host)})`).join(', ');
  if (!found) {
    throw new NotFoundError(word === null ? 'There are no clients yet.' : `There is no client "${word}".`, {
      hint: known
        ? `There are: ${known}`
        : 'Add one with: gitlink client add PROVIDER --host HOST --client-id ID',
    });
  }
  if (others.length === 0) return found;
  throw new UsageError('There are several clients, so the id of one is needed.', {
    hint: `One of: ${known}`,
  });
}

/**
 * Has a host register a client, with a token that may do that, and keeps it.
 *
 * @returns null where the host has no API for it: a person registers one on its page.
 * @throws AuthError, ForbiddenError when the token is refused or may not.
 */
export async function createClient(
  context: OperationContext,
  storage: Storage,
  provider: Provider,
  description: HostDescription,
  options: {
    readonly token: Secret;
    readonly name: string;
    readonly caFile: string | null;
    readonly callbackPort: number | null;
  },
): Promise<ClientRecord | null> {
  const support = requireOAuth(provider);
  if (!support.createClient) return null;
  const source = createFixedSource({ kind: 'token', token: options.token, signIn: null });
  const access = await openAccess(context, provider, description, source, { caFile: options.caFile });
  context.reporter.status('Registering a client…');
  const redirectUri = nameRedirectUri(support.redirect, options.callbackPort);
  const created = await support.createClient(access, { name: options.name, redirectUri });
  if (created === null) return null;
  return keepClient(context, storage, {
    provider: provider.id,
    host: description.host,
    identity: created,
    registrationId: created.registrationId,
    callbackPort: options.callbackPort,
  });
}

/**
 * Forgets a client that no link was signed in with.
 *
 * @throws ForbiddenError naming the links that need it.
 */
export async function removeClient(context: OperationContext, client: ClientRecord): Promise<void> {
  const release = (records: Records): Records => {
    assertUnused(records, client);
    return { ...records, clients: records.clients.filter(({ id }) => id !== client.id) };
  };
  const items = listClientItems(client);
  if (items.length === 0) await context.links.change(release);
  else await dropSecrets(context, client.storage, items, release);
}

function assertUnused(records: Records, client: ClientRecord): void {
  const users = records.links.filter((link) => link.client === client.id).map(({ name }) => name);
  if (users.length === 0) return;
  throw new ForbiddenError(`The client is needed by ${users.join(', ')}.`, {
    hint: `First: gitlink unlink ${users[0] ?? ''}`,
  });
}

/**
 * Deletes a client's registration at its host, which ends every sign-in that was made with it.
 *
 * @param token - One that may do that; a sign-in's own may not.
 * @throws UnsupportedError where gitlink did not make the registration, or the host has no API for it.
 */
export async function deleteRegistration(
  context: OperationContext,
  client: ClientRecord,
  options: { readonly token: Secret; readonly caFile: string | null },
): Promise<'removed' | 'gone'> {
  const provider = getProvider(client.provider);
  const support = provider?.oauth;
  if (!provider || !support?.deleteClient || client.registrationId === null) {
    const page = support?.registration(client.host, '').url ?? client.host;
    throw new UnsupportedError(`gitlink did not register ${client.clientId}, so it cannot delete it.`, {
      hint: `Delete it at ${page}`,
    });
  }
  const source = createFixedSource({ kind: 'token', token: options.token, signIn: null });
  const description = { host: client.host, flavour: provider.id, version: null };
  const access = await openAccess(context, provider, description, source, { caFile: options.caFile });
  context.reporter.status('Deleting the registration…');
  return support.deleteClient(access, client.registrationId);
}
