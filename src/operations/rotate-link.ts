import {
  assertTellable,
  AuthError,
  GitlinkError,
  StorageError,
  UnreachableError,
  UsageError,
  type ErrorCode,
} from '../errors.ts';
import { HostAnswerError } from '../http/host-answer-error.ts';
import type { HostAccess, Rotation } from '../providers/provider.ts';
import type { LinkRecord, Records } from '../store/link-schema.ts';
import { mapLink, updateLink } from './change-link.ts';
import type { OperationContext } from './context.ts';
import { getLink } from './find-link.ts';
import { isAccepted, openLink, whileTrusted, type OpenLink } from './host-access.ts';
import { addIntents } from './intents.ts';
import { dropSecrets, keepSecret } from './keep-secret.ts';
import { assertNotUnlinking, assertStored } from './link-faults.ts';
import { renewSignIn, whileReplacing } from './renew-sign-in.ts';
import { endToken, findCredentialPage, type OldCredential } from './revoke-credential.ts';
import { nameItem } from './secret-items.ts';
import { packCredential, type StoredCredential } from './stored-credential.ts';

export type LinkRotation =
  | {
      readonly outcome: 'rotated';
      readonly link: LinkRecord;
      /** Null for the access token of a sign-in, which ends by itself where the host does not end it at once. */
      readonly old: OldCredential | null;
    }
  /** What a person does instead, and where. */
  | Extract<Rotation, { outcome: 'impossible' }>;

/** A store that fails for a moment must not cost the only copy of a new token. */
const storeTries = 5;
const storePauseMs = 1_000;

export interface RotationRequest {
  /** When the new token shall end, in milliseconds since the epoch; null for as long a life as the old one's. */
  readonly expiresAt: number | null;
  /** Another link of the host, whose credential may manage tokens; null for none. */
  readonly via: LinkRecord | null;
}

/**
 * Has the host replace a link's token. The wish is noted before the host is asked, and the host is asked once: at
 * some hosts a second try with a token that was replaced already would end the new one.
 *
 * @throws AuthError when the answer was lost and the old token is dead; a person must make a new one.
 * @throws UnreachableError when nobody can tell what happened; the next check will.
 */
export async function rotateLink(
  context: OperationContext,
  link: LinkRecord,
  request: RotationRequest,
): Promise<LinkRotation> {
  assertStored(link);
  assertSameHost(link, request.via);
  const open = await openLink(context, link);
  const { signIn, token } = open.source.current;
  if (signIn === null) return whileReplacing(context, link.id, () => rotateToken(context, link.id, request));
  if (signIn.tokens.refreshToken === null) {
    const pageUrl = findCredentialPage(open.provider, link);
    return { outcome: 'impossible', reason: 'the host gave nothing to renew this sign-in with', pageUrl };
  }
  context.reporter.status('Renewing the sign-in…');
  await renewSignIn(context, link, token);
  return { outcome: 'rotated', link: getLink(context.links.read(), link.id), old: null };
}

async function rotateToken(
  context: OperationContext,
  linkId: string,
  { expiresAt, via: viaLink }: RotationRequest,
): Promise<LinkRotation> {
  // Ctrl-C does not cut it: an answer that nobody reads is the only copy of the new token.
  const uncut = new AbortController().signal;
  const watch = watchWrites(context);
  const open = await openLink(watch.context, getLink(context.links.read(), linkId), uncut);
  const { link, provider, access } = open;
  const via = viaLink === null ? null : (await openLink(watch.context, viaLink, uncut)).access;
  const rotate = provider.rotate?.bind(provider);
  if (!rotate) {
    const pageUrl = findCredentialPage(provider, link);
    return { outcome: 'impossible', reason: `${provider.displayName} has no way by API`, pageUrl };
  }
  if (link.rotationBegunAt !== null) await settleEarlierRotation(context, open);
  await (await context.openVault(link.storage)).check();
  await noteRotation(context, link, context.clock.now());
  context.reporter.status('Asking the host for a new token…');
  let rotation: Rotation;
  try {
    rotation = await whileTrusted(context, link, () =>
      rotate(access, { expiresAt, ...(via ? { via } : {}) }),
    );
  } catch (error) {
    if (isRefusal(error) || !watch.hasWritten()) await noteRotation(context, link, null);
    else await settleLostRotation(context, open, error);
    throw error;
  }
  if (rotation.outcome === 'impossible') {
    await noteRotation(context, link, null);
    return rotation;
  }
  const rotated = await keepRotated(context, open, rotation);
  const old = await endOld(open, via, rotation);
  await dropSecrets(context, link.storage, [link.credentialItem], (records) => records);
  return { outcome: 'rotated', link: rotated, old };
}

/** @throws UsageError for a link of another host, whose credential must not go there, or for the very same. */
export function assertSameHost({ name, host }: LinkRecord, via: LinkRecord | null): void {
  if (via === null || (via.host === host && via.name !== name)) return;
  throw new UsageError(`--via takes another link of ${host}, and "${via.name}" is none.`);
}

function noteRotation(context: OperationContext, link: LinkRecord, begunAt: number | null): Promise<unknown> {
  return updateLink(context, link.id, (record) => ({ ...record, rotationBegunAt: begunAt }));
}

interface WriteWatch {
  /** Links that are opened with it are watched. */
  readonly context: OperationContext;
  /** Whether anything but reading was asked of a host. */
  hasWritten(): boolean;
}

/** Adapters look at a token before they replace it: what fails until then has changed nothing. */
function watchWrites(context: OperationContext): WriteWatch {
  let hasWritten = false;
  const openHostClient: OperationContext['openHostClient'] = async (question) => {
    const client = await context.openHostClient(question);
    return {
      ...client,
      request: (request) => {
        hasWritten ||= !['GET', 'HEAD'].includes(request.method);
        return client.request(request);
      },
    };
  };
  return { context: { ...context, openHostClient }, hasWritten: () => hasWritten };
}

const refusals: readonly ErrorCode[] = [
  'auth',
  'forbidden',
  'notFound',
  'rateLimited',
  'unsupported',
  'usage',
];

/** An answer below 500, or what an adapter makes of one, says that nothing was done. */
function isRefusal(error: unknown): boolean {
  if (error instanceof HostAnswerError) return error.status < 500;
  return error instanceof GitlinkError && refusals.includes(error.code);
}

/** @throws AuthError when the earlier rotation replaced the token, whose successor nobody has. */
async function settleEarlierRotation(context: OperationContext, open: OpenLink): Promise<void> {
  context.reporter.status('An earlier rotation was not finished; asking what became of it…');
  if (await isAccepted(() => open.provider.identify(open.access))) {
    await noteRotation(context, open.link, null);
    return;
  }
  throw await markLost(context, open.link);
}

/** Asks by a call that changes nothing whether the old token lives: then nothing happened, else the answer is lost. */
async function settleLostRotation(context: OperationContext, open: OpenLink, error: unknown): Promise<void> {
  if (!(error instanceof GitlinkError) || error.code === 'cancelled') return;
  const { link } = open;
  let wasReplaced: boolean;
  try {
    wasReplaced = !(await isAccepted(() => open.provider.identify(open.access)));
  } catch {
    await updateLink(context, link.id, (record) =>
      record.status === 'unlinking' ? record : { ...record, status: 'unchecked', statusReason: 'rotation' },
    );
    throw new UnreachableError(
      `${link.host} went away during the rotation, so nobody knows whether it took place.`,
      {
        hint: 'It was not repeated. Find out later with: gitlink list --check',
      },
    );
  }
  if (wasReplaced) throw await markLost(context, link);
  await noteRotation(context, link, null);
}

async function markLost(context: OperationContext, link: LinkRecord): Promise<AuthError> {
  const checkedAt = context.clock.now();
  await updateLink(context, link.id, (record) =>
    record.status === 'unlinking'
      ? record
      : { ...record, status: 'revoked', statusReason: 'rotation', checkedAt },
  );
  return new AuthError(
    `${link.host} replaced the token of "${link.name}", but its answer with the new one was lost.`,
    { hint: `Make a new token, then: gitlink relink ${link.name}` },
  );
}

/** Neither a store that fails for a moment nor Ctrl-C, which ends every wait for a lock, may cost the new token. */
function mayPass({ code }: GitlinkError): boolean {
  return code === 'storage' || code === 'cancelled';
}

async function keepRotated(
  context: OperationContext,
  { link, source }: OpenLink,
  { token, expiresAt }: Extract<Rotation, { outcome: 'rotated' }>,
): Promise<LinkRecord> {
  const item = nameItem('credential', link.id, context.random);
  const renewed: StoredCredential = { ...source.current, token, signIn: null };
  const settle = (records: Records): Records => {
    assertNotUnlinking(getLink(records, link.id));
    const changed = mapLink(records, link.id, (record) => ({
      ...record,
      credentialItem: item,
      credentialOrigin: 'obtained',
      rotationBegunAt: null,
      status: 'ok',
      statusReason: null,
      checkedAt: context.clock.now(),
      expiresAt,
    }));
    return addIntents(changed, [link.credentialItem], link.storage, context.clock.now());
  };
  context.reporter.status('Storing the new token…');
  for (let tries = 1; ; tries += 1) {
    try {
      return getLink(await keepSecret(context, link.storage, item, packCredential(renewed), settle), link.id);
    } catch (error) {
      if (!(error instanceof GitlinkError) || !mayPass(error)) throw error;
      if (tries === storeTries) {
        throw new StorageError(`${link.host} replaced the token, and the new one is lost: ${error.message}`, {
          cause: error,
          hint: `Make a new token, then: gitlink relink ${link.name}`,
        });
      }
      await context.clock.sleep(storePauseMs);
    }
  }
}

/** The link has the new token by now, so that a host that does not answer is told and not thrown. */
async function endOld(
  open: OpenLink,
  via: HostAccess | null,
  { endsOld }: Extract<Rotation, { outcome: 'rotated' }>,
): Promise<OldCredential> {
  if (endsOld) return { outcome: 'revoked' };
  try {
    return await endToken(open, via);
  } catch (error) {
    assertTellable(error);
    const pageUrl = findCredentialPage(open.provider, open.link);
    return { outcome: 'failed', reason: error.message, pageUrl };
  }
}
