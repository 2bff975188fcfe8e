import { UnsupportedError, UsageError } from '../errors.ts';
import { readClientIdentity, requireOAuth, type SignInClient } from '../operations/client-identity.ts';
import { nameRedirectUri } from '../operations/client-redirect.ts';
import { createClient, listClientsOf } from '../operations/clients.ts';
import { nameClientVariables } from '../operations/environment-link.ts';
import type { RecognisedHost } from '../operations/recognise-host.ts';
import type { Provider } from '../providers/provider.ts';
import { Secret } from '../secret.ts';
import type { ClientRecord, Storage } from '../store/link-schema.ts';
import { readGivenSecret, type CredentialFlags } from './credential-flags.ts';
import { openPage } from './open-page.ts';
import type { Session } from './session.ts';

/** The flags that name a client. */
export type ClientFlags = Pick<
  CredentialFlags,
  'clientId' | 'clientSecretFile' | 'clientSecretEnv' | 'callbackPort' | 'caFile'
>;

/**
 * Finds the client to sign in with: of the flags, the environment or the records.
 *
 * @param usual - The one of the link that signs in again, by its id in the records.
 * @returns null where none is known.
 * @throws UsageError when several are known and none is named.
 */
export async function findSignInClient(
  session: Session,
  { provider, description }: RecognisedHost,
  flags: ClientFlags,
  usual: string | null = null,
): Promise<SignInClient | null> {
  const known = listClientsOf(session.context.links.read(), provider.id, description.host);
  const given = await readGivenClient(session, provider, flags);
  if (given !== null) {
    const record = known.find(({ clientId }) => clientId === given.id) ?? null;
    if (record !== null && given.secret === null) return toSignInClient(session, record, flags);
    return { identity: given, record: null, callbackPort: flags.callbackPort ?? null };
  }
  const own = known.filter(({ id }) => id === usual);
  const [only, ...others] = own.length > 0 ? own : known;
  if (!only) return null;
  if (others.length === 0) return toSignInClient(session, only, flags);
  throw new UsageError(`There are several clients for ${description.host}.`, {
    hint: `Name one: ${known.map(({ clientId, app }) => `--client-id ${clientId}${app === null ? '' : ` (${app.slug})`}`).join(' or ')}`,
  });
}

async function toSignInClient(
  session: Session,
  record: ClientRecord,
  { callbackPort }: ClientFlags,
): Promise<SignInClient> {
  const identity = await readClientIdentity(session.context, record);
  return { identity, record, callbackPort: callbackPort ?? record.callbackPort };
}

async function readGivenClient(
  session: Session,
  { id }: Provider,
  { clientId, clientSecretFile, clientSecretEnv }: ClientFlags,
): Promise<SignInClient['identity'] | null> {
  const places = { isPiped: false, file: clientSecretFile, variable: clientSecretEnv };
  const secret = await readGivenSecret(session, 'client secret', places);
  if (clientId !== undefined) return { id: clientId, secret };
  if (secret !== null) throw new UsageError('A client secret needs --client-id, too.');
  const variables = nameClientVariables(id);
  const { [variables.id]: fromEnv, [variables.secret]: secretFromEnv } = session.runtime.env;
  if (!fromEnv) return null;
  return { id: fromEnv, secret: secretFromEnv ? new Secret(secretFromEnv) : null };
}

/**
 * Has the person register a client: by a token that may do that, where the host has an API for it, or on the
 * host's page.
 *
 * @throws UsageError without a terminal, with the line that adds a client.
 */
export async function registerByHand(
  session: Session,
  recognised: RecognisedHost,
  flags: ClientFlags,
): Promise<SignInClient> {
  const { provider, description } = recognised;
  const { reporter, prompter } = session;
  const support = requireOAuth(provider);
  const { url, fields } = support.registration(
    description.host,
    nameRedirectUri(support.redirect, flags.callbackPort ?? null),
  );
  if (!prompter.canAsk) {
    throw new UsageError(`No client is registered for ${description.host}, which signing in needs.`, {
      hint: describeRegistration(recognised, flags.callbackPort ?? null),
    });
  }
  reporter.note(`Signing in needs a client that is registered at ${description.host}, once.`);
  reporter.note('Enter there exactly this:');
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) reporter.note(`  ${name.padEnd(width)}  ${value}`);
  await openPage(session, url);
  const id = await prompter.ask('Client id (Application ID)', '--client-id');
  const secret = await prompter.askSecret('Client secret (empty if there is none)', '--client-secret-file');
  const identity = { id, secret: secret.length === 0 ? null : secret };
  return { identity, record: null, callbackPort: flags.callbackPort ?? null };
}

/** Has the host register a client, with a token that is used once and not kept. */
export async function registerByToken(
  session: Session,
  { provider, description }: RecognisedHost,
  storage: Storage,
  options: { readonly token: Secret; readonly name: string; readonly flags: ClientFlags },
): Promise<ClientRecord> {
  const { token, name, flags } = options;
  const callbackPort = flags.callbackPort ?? null;
  const made = await createClient(session.context, storage, provider, description, {
    token,
    name,
    caFile: flags.caFile ?? null,
    callbackPort,
  });
  if (made) return made;
  throw new UnsupportedError(`${description.host} registers clients only on its page.`, {
    hint: describeRegistration({ provider, description }, callbackPort),
  });
}

/** Where a person registers a client, with what, and what comes then. */
export function describeRegistration(
  { provider, description }: RecognisedHost,
  callbackPort: number | null,
): string {
  const { host } = description;
  const support = requireOAuth(provider);
  const { url, fields } = support.registration(host, nameRedirectUri(support.redirect, callbackPort));
  const values = fields.map(([name, value]) => `${name}: ${value}`).join('; ');
  return `Register one at ${url} (${values}), then: gitlink client add ${provider.id} --host ${host} --client-id ID`;
}
