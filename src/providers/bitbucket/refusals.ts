import { HostAnswerError } from '../../http/host-answer-error.ts';
import type { HostRequest, HostResponse } from '../../http/host-client.ts';
import { toPrintable } from '../../printable.ts';
import { redact } from '../../redaction.ts';
import type { HostAccess } from '../provider.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/** Bitbucket's explanation of a refusal, safe to print. */
export interface Refusal {
  readonly text: string;
  /** The scopes that the credential has, where they are told because others are missing. */
  readonly granted: readonly string[] | null;
}

const grantedScopes = v.object({ granted: v.array(v.string()) });

/** @returns null for an answer that is not in Bitbucket's words. */
export function readRefusal(body: unknown): Refusal | null {
  const read = v.safeParse(schemas.failure, body);
  if (!read.success) return null;
  const { message, detail, fields } = read.output.error;
  const granted = v.safeParse(grantedScopes, detail);
  const details = [
    ...Object.entries(fields ?? {}).map(([field, problems]) => `${field}: ${toText(problems)}`),
    ...(typeof detail === 'string' ? [detail] : []),
  ];
  return {
    text: toPrintable(redact([message, ...details].join('; ')), 300),
    granted: granted.success ? granted.output.granted : null,
  };
}

function toText(problems: unknown): string {
  return [problems].flat().map(String).join(', ');
}

/** Whether the credential is good and lacks a scope. */
export function isScopeMissing(text: string | null): boolean {
  return /privilege scopes/i.test(text ?? '');
}

/** Whether an error is Bitbucket's word that there is no such thing, or that the credential may not see it. */
export function isHidden(error: unknown): error is HostAnswerError {
  if (!(error instanceof HostAnswerError) || error.hostMessage === null) return false;
  return error.status === 404 || (error.status === 403 && !isScopeMissing(error.hostMessage));
}

/** Sends a change. What Bitbucket minds about it stands in the details of its answer, not in its message. */
export async function sendChange({ http }: HostAccess, request: HostRequest): Promise<HostResponse> {
  const answer = await http.request({ ...request, accept: [400] });
  if (answer.status !== 400) return answer;
  throw new HostAnswerError({
    status: answer.status,
    method: request.method,
    origin: new URL(http.base).origin,
    template: request.route.template,
    requestId: null,
    hostMessage: readRefusal(answer.body)?.text ?? null,
  });
}
