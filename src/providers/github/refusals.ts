import {
  AuthError,
  ForbiddenError,
  RateLimitError,
  UnreachableError,
  type GitlinkError,
} from '../../errors.ts';
import { HostAnswerError, type HostAnswer } from '../../http/host-answer-error.ts';
import type { HostRequest, HostResponse } from '../../http/host-client.ts';
import { toPrintable } from '../../printable.ts';
import { redact } from '../../redaction.ts';
import { installationKind, signInKind } from '../provider.ts';
import { toHost } from './hosts.ts';
import { fineGrainedKind } from './kinds.ts';
import { toFineGrainedUrl, toGrantsUrl, toTokensUrl } from './pages.ts';
import * as schemas from './schemas.ts';
import { compareScopes, parseScopes } from './scopes.ts';
import * as v from 'valibot';

/** An answer that says no, with what it means and what a person can do. The host has done nothing then. */
export class RefusedError extends HostAnswerError {
  override readonly hint: string | undefined;

  constructor(answer: HostAnswer, hint: string | undefined) {
    super(answer);
    this.hint = hint;
  }
}

/** @returns GitHub's words, safe to print; null for an answer that is not GitHub's. */
export function readRefusal(body: unknown): string | null {
  const read = v.safeParse(schemas.failure, body);
  if (!read.success) return null;
  const { message, errors } = read.output;
  const details = [errors ?? []].flat().slice(0, 5).map(toText);
  return toPrintable(redact([message, ...details.filter((text) => text !== '')].join(': ')), 300);
}

function toText(error: unknown): string {
  if (typeof error === 'string') return error;
  const read = v.safeParse(schemas.fault, error);
  return read.success ? read.output.message : '';
}

/**
 * Says what a refusal means: 401, 403, 404 or 422.
 *
 * @param apiBase - Tells the host, whose pages the hints name.
 * @param kind - The kind of the credential; null for none.
 */
export function toRefusalError(
  apiBase: string,
  request: HostRequest,
  answer: HostResponse,
  kind: string | null,
): GitlinkError {
  const host = toHost(apiBase);
  const { status, headers, body } = answer;
  const text = readRefusal(body);
  if (text === null) return createForeignError(host, status);
  if (status === 401) return toAuthError(host, text, kind);
  if (status === 403 && /login attempts exceeded/i.test(text)) {
    return new RateLimitError(`${host} has seen too many wrong credentials and refuses good ones, too.`, {
      hint: 'Wait for some minutes; until then nothing is known of this credential.',
    });
  }
  const explanation = explain(host, answer, text, kind);
  const missing = explanation === null && status !== 422 ? findMissing(headers) : [];
  if (missing.length > 0) {
    // Also a 404 is no word on whether the thing is there.
    return new ForbiddenError(`the token lacks the scope ${missing.join(' or ')}`, {
      hint: 'Give the link a token with it: gitlink relink',
    });
  }
  const requestId = toPrintable(headers.get('x-github-request-id') ?? '', 100) || null;
  const said = {
    status,
    method: request.method,
    origin: new URL(apiBase).origin,
    template: request.route.template,
    requestId,
    hostMessage: toPrintable(explanation?.meaning ?? text, 300),
  };
  return new RefusedError(said, explanation?.hint);
}

/** One that is not in GitHub's words says nothing about the credential. */
export function createForeignError(host: string, status: number): UnreachableError {
  return new UnreachableError(
    `${host} answered ${status} without a word of GitHub's: something is in between.`,
    { hint: 'A proxy or a sign-in page? Open the address in a browser to see what answers there.' },
  );
}

function toAuthError(host: string, text: string, kind: string | null): AuthError {
  if (kind === signInKind) {
    return new AuthError(`${host} does not accept this sign-in any more: it has expired or was revoked.`, {
      hint: `Sign in again with: gitlink relink. What you allowed is listed at ${toGrantsUrl(host)}`,
    });
  }
  if (kind === installationKind) {
    return new AuthError(`${host} does not accept this installation token: it ends after an hour.`, {
      hint: `Link the App with its key, which makes new ones: --app-id ID --app-key-file FILE (keys are made at ${host}/settings/apps)`,
    });
  }
  if (!/bad credentials/i.test(text)) {
    return new AuthError(`${host} wants another credential than this: ${text}`, {
      hint: `Make a token at ${toTokensUrl(host)}`,
    });
  }
  return new AuthError(
    `${host} does not accept this token: it is wrong, has expired, was revoked, or belongs to another host.`,
    {
      hint: `Make a new one at ${kind === fineGrainedKind ? toFineGrainedUrl(host) : toTokensUrl(host)}`,
    },
  );
}

interface Explanation {
  /** Default: GitHub's own words. */
  readonly meaning?: string;
  readonly hint: string;
}

/** The reasons that a person can do something about; null for any other. */
function explain(
  host: string,
  { headers, status }: HostResponse,
  text: string,
  kind: string | null,
): Explanation | null {
  const sso = headers.get('x-github-sso');
  if (sso?.startsWith('required') === true || /SAML (?:enforcement|SSO)/i.test(text)) {
    return { meaning: 'its organization demands single sign-on', hint: explainSso(host, sso, kind) };
  }
  if (/OAuth App access restrictions/i.test(text)) {
    return {
      hint: `An owner of the organization has to approve the app; ask for it at ${toGrantsUrl(host)}. A token that you paste is not affected: --method token`,
    };
  }
  if (/IP allow list/i.test(text)) {
    return {
      hint: 'The organization lets in only networks that it knows, even to its public repositories. Use one of those, or leave the organization out.',
    };
  }
  if (/suspended/i.test(text)) {
    return { hint: `Whoever suspended it can lift that, at ${host}/settings/installations` };
  }
  if (/personal access token \(classic\)/i.test(text)) {
    return {
      hint: `Make a fine-grained token for that organization: ${toFineGrainedUrl(host)}/new`,
    };
  }
  const permissions = status === 403 ? parsePermissions(headers.get('x-accepted-github-permissions')) : [];
  if (permissions.length > 0 && /not accessible by/i.test(text)) {
    const what = permissions.join(', or ');
    return {
      meaning: `the token lacks a permission: this takes ${what}`,
      hint:
        kind === installationKind
          ? `Add it to the App, then agree to it on the page of the installation.`
          : `Add it to the token at ${toFineGrainedUrl(host)}; the role in the repository must allow it, too.`,
    };
  }
  return null;
}

/** The page that authorises the very token; good for an hour, so it is worth naming only when it is the host's own. */
function explainSso(host: string, header: string | null, kind: string | null): string {
  const url = /^required;\s*url=(\S+)$/.exec(header ?? '')?.[1] ?? '';
  if (url.startsWith(`${host}/`) && URL.canParse(url)) {
    return `Authorise the token within the hour: ${toPrintable(new URL(url).href, 400)}`;
  }
  return kind === signInKind
    ? 'Sign in to that organization in the browser, then: gitlink relink'
    : `Authorise the token: ${toTokensUrl(host)} > Configure SSO`;
}

/** The organizations that a list leaves out because of single sign-on, as their ids. */
export function findHiddenOrganizations(headers: Headers): readonly string[] {
  const ids = /^partial-results;\s*organizations=([\d,\s]+)$/.exec(headers.get('x-github-sso') ?? '')?.[1];
  return (ids ?? '').split(/[,\s]+/).filter((id) => id !== '');
}

/** Scopes of which any would have been accepted, where the token has none: the least of them. */
function findMissing(headers: Headers): readonly string[] {
  const accepted = parseScopes(headers.get('x-accepted-oauth-scopes')) ?? [];
  const granted = parseScopes(headers.get('x-oauth-scopes'));
  if (granted === null || accepted.length === 0) return [];
  const isCovered = accepted.some((scope) => compareScopes(granted, [scope]).missing.length === 0);
  if (isCovered) return [];
  return accepted.filter((scope) =>
    accepted.every((other) => other === scope || compareScopes([scope], [other]).missing.length > 0),
  );
}

/** `contents=read,metadata=read; administration=write`: alternatives by semicolons. */
function parsePermissions(header: string | null): readonly string[] {
  return (header ?? '')
    .split(';')
    .map((set) => toPrintable(set.trim().replaceAll('=', ':').replaceAll(/,\s*/g, ' and '), 100))
    .filter((set) => set !== '');
}
