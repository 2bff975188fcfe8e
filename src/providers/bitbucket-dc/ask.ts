import { AuthError, ForbiddenError, UnreachableError, type GitlinkError } from '../../errors.ts';
import type { HostClient, HostRequest, HostResponse } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import { toPrintable } from '../../printable.ts';
import { redact } from '../../redaction.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import { toTokensUrl } from './pages.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/** Who the host takes the sender of a request for. */
export interface Sender {
  /** A project's or repository's token has a made-up name, or none. */
  readonly name: string | null;
  readonly id: string | null;
}

/**
 * Sends a request. Bitbucket answers 401 also to those whom it knows and does not allow something, so a 401 is
 * taken for a bad credential only when the host knows nobody behind it.
 *
 * @param http - Default: the access's own client.
 * @throws ForbiddenError when the credential is good and may not do this.
 * @throws AuthError when the host does not know the credential.
 * @throws UnreachableError when something else than Bitbucket answers.
 */
export async function send(
  access: HostAccess,
  request: HostRequest,
  http: HostClient = access.http,
): Promise<HostResponse> {
  const answer = await http.request({ ...request, accept: [...(request.accept ?? []), 401] });
  if (answer.status !== 401) return answer;
  const reason = readReason(access.host, answer);
  if (readSender(answer.headers) === null && !(await isAccepted(access))) {
    throw createRefusedError(access.host);
  }
  throw new ForbiddenError(`${access.host} does not allow this: ${reason}`, {
    hint: 'The token or its owner lacks a permission there, or the project keeps its settings to its administrators.',
  });
}

/**
 * The same for what strangers are answered, too: to a dead token a list has no more than what is public.
 *
 * @throws AuthError when the host does not know the credential.
 */
export async function sendKnown(
  access: HostAccess,
  request: HostRequest,
  http: HostClient,
): Promise<HostResponse> {
  const answer = await send(access, request, http);
  if (readSender(answer.headers) === null && !(await isAccepted(access))) {
    throw createRefusedError(access.host);
  }
  return answer;
}

/**
 * Asks who the sender is at an address that strangers may not ask. What strangers may ask is answered alike to a
 * dead token.
 *
 * @returns null when the host knows nobody behind the credential.
 */
export async function fetchSender({ http, host }: HostAccess): Promise<Sender | null> {
  const answer = await http.request({
    method: 'GET',
    route: route`/profile/recent/repos`,
    query: { limit: 1 },
    accept: [401],
  });
  const sender = readSender(answer.headers);
  if (answer.status === 401) {
    readReason(host, answer);
    return sender;
  }
  narrow(schemas.page(v.unknown()), answer.body, 'the account');
  return sender ?? { name: null, id: null };
}

/**
 * Whether the host knows a credential. Tokens without a person behind them may be refused what concerns a
 * person's profile; strangers have an explicit permission nowhere, so that one proves that a token lives.
 */
export async function isAccepted(access: HostAccess): Promise<boolean> {
  return (await fetchSender(access)) !== null || (await hasAnyPermission(access));
}

/** Whether the credential has been given a permission anywhere; what is public for everybody does not count. */
export async function hasAnyPermission({ http }: HostAccess): Promise<boolean> {
  return (await isPermitted(http, 'REPO_READ')) || (await isPermitted(http, 'PROJECT_READ'));
}

/** Whether there is at least one place where the credential has a permission. */
export async function isPermitted(http: HostClient, permission: string): Promise<boolean> {
  const list = permission.startsWith('PROJECT_') ? route`/projects` : route`/repos`;
  const { status, body } = await http.request({
    method: 'GET',
    route: list,
    query: { permission, limit: 1 },
    accept: [401],
  });
  if (status === 401) return false;
  return narrow(schemas.page(v.unknown()), body, 'the permissions').values.length > 0;
}

/** Every answer names its sender in headers, the name encoded as in an address; a stranger has none. */
function readSender(headers: Headers): Sender | null {
  const name = decodeName(headers.get('x-ausername') ?? '');
  if (name === '' || name === 'anonymous') return null;
  const id = headers.get('x-auserid') ?? '';
  return { name, id: /^\d{1,15}$/.test(id) ? id : null };
}

function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch {
    return encoded;
  }
}

/** @throws UnreachableError for a refusal that is not in Bitbucket's words, which says nothing about the credential. */
function readReason(host: string, { status, body }: HostResponse): string {
  const refusal = v.safeParse(schemas.refusal, body);
  if (!refusal.success) {
    throw new UnreachableError(
      `${host} answered ${status} without a word of Bitbucket's: something is in between.`,
      { hint: 'A proxy or a sign-in page? Open the address in a browser to see what answers there.' },
    );
  }
  return toPrintable(redact(refusal.output.errors[0]?.message ?? 'it does not say why'), 200);
}

export function createRefusedError(host: string): GitlinkError {
  return new AuthError(
    `${host} does not accept this credential: it is wrong, has expired, or was deleted there.`,
    { hint: `Make a new token at ${toTokensUrl(host)}` },
  );
}
