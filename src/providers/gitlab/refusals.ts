import { AuthError, ForbiddenError, type GitlinkError, UnreachableError } from '../../errors.ts';
import type { HostClient } from '../../http/host-client.ts';
import type { Route } from '../../http/host-client.ts';
import { toPrintable } from '../../printable.ts';
import { redact } from '../../redaction.ts';
import * as v from 'valibot';

/** GitLab's explanation of a refusal: its API speaks in `message`, its guard in OAuth's two fields. */
const refusalSchema = v.object({
  message: v.optional(v.string()),
  error: v.optional(v.string()),
  error_description: v.optional(v.string()),
});

export interface Refusal {
  /** As `insufficient_scope`; null where there is none. */
  readonly code: string | null;
  /** Safe to print; empty where there is none. */
  readonly text: string;
}

/** An answer to a question that may be refused. */
export interface AskedAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Null for an answer, and for a refusal that is not GitLab's. */
  readonly refusal: Refusal | null;
}

/** Asks something that GitLab may refuse for a reason worth knowing. */
export async function ask(
  http: HostClient,
  route: Route,
  method: 'GET' | 'DELETE' = 'GET',
): Promise<AskedAnswer> {
  const { status, body } = await http.request({ method, route, accept: [400, 401, 403, 404] });
  return { status, body, refusal: status < 300 ? null : readRefusal(body) };
}

export function readRefusal(body: unknown): Refusal | null {
  const read = v.safeParse(refusalSchema, body);
  if (!read.success) return null;
  const { message, error, error_description: description } = read.output;
  const text = message ?? description ?? error;
  return text === undefined ? null : { code: error ?? null, text: toPrintable(redact(text), 200) };
}

/** Whether the credential is good and lacks a permission: a scope, or one of a fine-grained token. */
export function lacksScope({ status, refusal }: AskedAnswer): boolean {
  const isScope = refusal?.code === 'insufficient_scope' || isGranular(refusal);
  return status === 403 && isScope;
}

/** Whether a permission of a fine-grained token is missing. */
export function isGranular(refusal: Refusal | null): boolean {
  return refusal?.code === 'insufficient_granular_scope';
}

/** Whether a token of the personal kind was asked for and this is that of a sign-in. */
export function wantsPersonalToken({ status, refusal }: AskedAnswer): boolean {
  return status === 400 && (refusal?.text.includes('requires token type') ?? false);
}

/**
 * Says what a refusal of the credential means. One that is not in GitLab's words is that of a proxy in between,
 * and says nothing about the credential.
 */
export function toRefusalError(host: string, answer: AskedAnswer): GitlinkError {
  const { status, refusal } = answer;
  if (refusal === null) {
    return new UnreachableError(
      `${host} answered ${status} without a word of GitLab's: something is in between.`,
      {
        hint: 'A proxy or a sign-in page? Open the address in a browser to see what answers there.',
      },
    );
  }
  if (refusal.code === 'dpop_error') {
    return new ForbiddenError(
      `The owner of this token demands a proof of possession (DPoP), which gitlink cannot give.`,
      {
        hint: `Switch it off in the account's settings (${host}/-/user_settings/personal_access_tokens), or link by signing in: --method oauth`,
      },
    );
  }
  if (status !== 401) {
    const reason = /^403 Forbidden - (.+)$/.exec(refusal.text)?.[1] ?? refusal.text;
    return new ForbiddenError(`${host} knows this credential and refuses it: ${reason}`, {
      hint: `Sign in at ${host} with a browser to see what the account has to do.`,
    });
  }
  if (/impersonation/i.test(refusal.text)) {
    return new ForbiddenError(
      `${host} does not accept impersonation tokens: its administrator has disabled them.`,
    );
  }
  return new AuthError(`${host} does not accept this token: ${toReason(refusal)}.`, {
    hint: `Make a new one at ${host}/-/user_settings/personal_access_tokens`,
  });
}

function toReason({ code, text }: Refusal): string {
  if (code === 'invalid_token' && /expired/i.test(text)) return 'it has expired';
  if (code === 'invalid_token' && /revoked/i.test(text)) return 'it was revoked, or replaced by a newer one';
  return 'it is wrong, or it was deleted there';
}
