import {
  AuthError,
  ForbiddenError,
  NotFoundError,
  UnreachableError,
  type GitlinkError,
} from '../../errors.ts';
import type { HostResponse } from '../../http/host-client.ts';
import { signInKind, type HostAccess } from '../provider.ts';
import { isOwnWord, isWindowsChallenge, readRefusal } from './ask.ts';
import { toOrganizationUrl, toTokensUrl } from './pages.ts';
import { isServer } from './places.ts';
import { isEntraKind } from './scopes.ts';

/**
 * Says what it means that a credential may not even ask who it is. An answer that is not Azure DevOps' own says
 * nothing about the credential.
 */
export function toRefusalError(access: HostAccess, answer: HostResponse): GitlinkError {
  const { host, organization } = access;
  const { status } = answer;
  const place = toOrganizationUrl(host, organization);
  const refusal = readRefusal(answer.body);
  // Of an organization that is not there it says so with a page.
  if (status === 404) {
    return new NotFoundError(`There is no organization "${organization ?? ''}" at ${host}.`, {
      hint: 'It may have another name by now: link it anew with --organization.',
    });
  }
  // Nobody but Azure DevOps says 203 where a person has to sign in.
  if (status !== 203 && !isOwnWord(answer) && !(isServer(access) && isWindowsChallenge(answer))) {
    return new UnreachableError(
      `${host} answered ${status} without a word of Azure DevOps': something is in between.`,
      { hint: 'A proxy or a sign-in page? Open the address in a browser to see what answers there.' },
    );
  }
  const text = refusal?.text ?? '';
  if (refusal?.typeKey === 'AadUserStateException' || /not been materialized/i.test(text)) {
    return new ForbiddenError(`${place} has never met this account.`, {
      hint: `Open ${place} in a browser once, signed in as this account; then run the command again.`,
    });
  }
  if (/\bVS40346\d\b|conditional access/i.test(text)) {
    return new ForbiddenError(`A policy of the organization refuses this credential here: ${text}`, {
      hint: 'Conditional Access may allow it from certain networks or devices only: ask an administrator.',
    });
  }
  if (status === 403) {
    return new ForbiddenError(`${place} knows this credential and refuses it: ${text || 'no reason'}`, {
      hint: `Open ${place} in a browser to see what the account has to do.`,
    });
  }
  return isEntraKind(access.credential.kind)
    ? toSignInError(access, place, text)
    : toTokenError(access, place);
}

function toSignInError({ credential: { kind } }: HostAccess, place: string, text: string): AuthError {
  const hint =
    kind === signInKind
      ? 'Sign in again with: gitlink relink'
      : 'Such a token ends after an hour or so: sign in with gitlink itself, --method oauth';
  if (/\bVS30063\b/.test(text)) {
    return new AuthError(`${place} does not know this account, or it signed in at another tenant.`, {
      hint: `An account must be a member of the organization and sign in at the organization's tenant. ${hint}`,
    });
  }
  return new AuthError(`${place} does not accept this sign-in any more: it has expired or was ended.`, {
    hint,
  });
}

function toTokenError(access: HostAccess, place: string): AuthError {
  const { host, organization } = access;
  const global = isServer(access) ? '' : '. Tokens for all organizations at once stop working on 2026-12-01';
  return new AuthError(
    `${place} does not accept this token: it is wrong, has expired, was revoked, or is of another organization.`,
    { hint: `Make a new one at ${toTokensUrl(host, organization)}${global}` },
  );
}
