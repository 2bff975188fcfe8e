import type { HostAccess, HostDescription, Identity, Provider } from '../providers/provider.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { SignInClient } from './client-identity.ts';
import type { OperationContext } from './context.ts';
import { createFixedSource } from './credential-source.ts';
import { openAccess } from './host-access.ts';
import { findSignInEnd, type StoredCredential } from './stored-credential.ts';

/** A credential that its host has accepted. */
export interface VerifiedCredential {
  readonly provider: Provider;
  readonly description: HostDescription;
  readonly credential: StoredCredential;
  /** The client that a sign-in was made with; null for a token. */
  readonly client: SignInClient | null;
  readonly identity: Identity;
}

export interface VerifyOptions {
  readonly client: SignInClient | null;
  readonly caFile: string | null;
  /** The place that a token with no user behind it is for, as the person named it; null for none. */
  readonly place?: string | null;
}

/**
 * Asks the host about a credential.
 * @throws AuthError when the host refuses it.
 */
export async function verifyCredential(
  context: OperationContext,
  provider: Provider,
  description: HostDescription,
  credential: StoredCredential,
  { client, caFile, place = null }: VerifyOptions,
): Promise<VerifiedCredential> {
  context.reporter.status('Checking the credential…');
  const access = await openAccess(context, provider, description, createFixedSource(credential), {
    caFile,
    client: client?.identity ?? null,
    account: { login: place, kind: 'unknown', id: null },
  });
  const identity = await provider.identify(access);
  // A host that requires signing in tells its version only now.
  const known =
    description.version === null
      ? await provider.recognise(description.host, access.http, description.organization)
      : null;
  return {
    provider,
    // An organization names its tenant to whoever is not signed in, and to nobody else.
    description:
      known === null ? description : { ...known, tenant: known.tenant ?? description.tenant ?? null },
    credential: { ...credential, kind: identity.credentialKind },
    client,
    identity: withSignIn(identity, credential),
  };
}

/** Makes the way to the host for a credential that is verified and not stored yet. */
export function openVerified(
  context: OperationContext,
  { provider, description, credential, client, identity }: VerifiedCredential,
  caFile: string | null,
): Promise<HostAccess> {
  return openAccess(context, provider, description, createFixedSource(credential), {
    caFile,
    client: client?.identity ?? null,
    account: identity.account,
  });
}

/** What a link is known to be right after its credential was accepted. */
export function toInitialStatus({ hindrance }: Identity): Pick<LinkRecord, 'status' | 'statusReason'> {
  return { status: hindrance?.status ?? 'ok', statusReason: hindrance?.reason ?? null };
}

/** What the token endpoint told, where the host's API does not. */
function withSignIn(identity: Identity, { signIn }: StoredCredential): Identity {
  if (signIn === null) return identity;
  return {
    ...identity,
    scopes: identity.scopes ?? signIn.tokens.scopes,
    expiresAt: identity.expiresAt ?? findSignInEnd(signIn.tokens),
  };
}
