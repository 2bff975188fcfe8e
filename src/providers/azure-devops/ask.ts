import { AuthError, ForeignAnswerError } from '../../errors.ts';
import { HostAnswerError } from '../../http/host-answer-error.ts';
import type { HostClient, HostRequest, HostResponse } from '../../http/host-client.ts';
import { toPrintable } from '../../printable.ts';
import { redact } from '../../redaction.ts';
import { narrow } from '../narrow.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/** A request to Azure DevOps, which must name a version. */
export interface Question extends Omit<HostRequest, 'headers'> {
  /** Whether this part of the API has no released version. */
  readonly isPreview?: boolean;
  /** The version where it is known; else the newest that the host has. */
  readonly version?: string;
}

/**
 * What gitlink asks is the same in all of these. Services has every version, Server those up to its own: 2022 the
 * first, 2020 the second, and so on.
 *
 * @see https://learn.microsoft.com/rest/api/azure/devops/#api-and-tfs-version-mapping
 */
const versions = ['7.0', '6.0', '5.0', '4.0'] as const;

/** What a host was found to have: the place in the list. */
const knownVersions = new WeakMap<HostClient, number>();

/**
 * Sends a request. Whoever is not signed in gets the page to sign in, with a status of success (203) or a redirect
 * to it, although a header says that no person is there to see it: that is 203 here in either case.
 *
 * @throws AuthError for that page, where the question does not accept 203.
 */
export async function ask(http: HostClient, question: Question): Promise<HostResponse> {
  const { isPreview, version, accept = [], ...request } = question;
  for (;;) {
    const index = knownVersions.get(http) ?? 0;
    const apiVersion = version ?? `${versions[index]}${isPreview === true ? '-preview' : ''}`;
    const answer = await http.request({
      ...request,
      query: { ...request.query, 'api-version': apiVersion },
      headers: { 'x-tfs-fedauthredirect': 'Suppress' },
      accept: [203, 302, 400, ...accept],
    });
    const { status } = answer;
    if (status === 203 || status === 302) return toSignInAnswer(http, question, answer);
    if (status !== 400) return answer;
    const refusal = readRefusal(answer.body);
    const isTooNew = version === undefined && refusal?.typeKey === 'VssVersionOutOfRangeException';
    if (isTooNew && index + 1 < versions.length) {
      knownVersions.set(http, Math.max(knownVersions.get(http) ?? 0, index + 1));
    } else if (accept.includes(400)) {
      return answer;
    } else {
      throw toAnswerError(http, question, status, refusal);
    }
  }
}

/** @throws ForeignAnswerError for a redirect to anything else, AuthError where the page is no answer. */
function toSignInAnswer(http: HostClient, question: Question, answer: HostResponse): HostResponse {
  const location = answer.headers.get('location') ?? '';
  const target = URL.canParse(location, http.base) ? new URL(location, http.base) : null;
  if (answer.status === 302 && !target?.pathname.toLowerCase().endsWith('/_signin')) {
    const goal = target && target.origin !== 'null' ? target.origin : 'an address of another kind';
    throw new ForeignAnswerError(
      `${question.method} ${http.base}${question.route.template} was answered with a redirect to ${goal}, which gitlink does not follow.`,
      { hint: 'A proxy or a sign-in page of a network may be in between.' },
    );
  }
  if (question.accept?.includes(203)) return { ...answer, status: 203 };
  throw new AuthError(`${http.base} answered with its page to sign in: it does not accept this credential.`, {
    hint: 'Give the link a new one with: gitlink relink',
  });
}

function toAnswerError(
  http: HostClient,
  { method, route }: Question,
  status: number,
  refusal: Refusal | null,
): HostAnswerError {
  const { origin } = new URL(http.base);
  const hostMessage = refusal?.text || null;
  return new HostAnswerError({
    status,
    method,
    origin,
    template: route.template,
    requestId: null,
    hostMessage,
  });
}

/** Azure DevOps' explanation of a refusal. Its words are in the reader's language, its keys are not. */
export interface Refusal {
  /** As `GitRepositoryNotFoundException`. */
  readonly typeKey: string;
  /** Safe to print; empty where there is none. */
  readonly text: string;
}

/** @returns null for an answer that is not in Azure DevOps' words. */
export function readRefusal(body: unknown): Refusal | null {
  const read = v.safeParse(schemas.failure, body);
  if (!read.success || read.output.typeKey === '') return null;
  return { typeKey: read.output.typeKey, text: toPrintable(redact(read.output.message), 200) };
}

/** Whether an answer without data comes from Azure DevOps, and not from something in between. */
export function isOwnWord({ headers, body }: HostResponse): boolean {
  const ways = headers.get('www-authenticate') ?? '';
  return (
    readRefusal(body) !== null ||
    ['x-vss-resourcetenant', 'x-vss-e2eid', 'x-tfs-processid'].some((name) => headers.has(name)) ||
    /TFS-Federated|authorization_uri=/i.test(ways)
  );
}

/** Whether a server asks for a credential as Windows does: a server that is known may do so for itself. */
export function isWindowsChallenge({ headers }: HostResponse): boolean {
  return /\bNTLM\b/i.test(headers.get('www-authenticate') ?? '');
}

/** Reads a list out of its envelope. */
export function narrowList<Schema extends v.GenericSchema>(
  schema: Schema,
  body: unknown,
  what: string,
): readonly v.InferOutput<Schema>[] {
  return narrow(v.object({ value: v.array(schema) }), body, what).value;
}
