import { GitlinkError } from '../../errors.ts';
import { followLinkPages } from '../../http/paging.ts';
import type { HostClient } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import {
  installationKind,
  signInKind,
  type Account,
  type HostAccess,
  type Hindrance,
  type Identity,
  type TokenShape,
} from '../provider.ts';
import { openApi } from './ask.ts';
import { isEnterpriseServer } from './hosts.ts';
import { classicKind, fineGrainedKind, findKind, isAppUser } from './kinds.ts';
import { toFineGrainedUrl, toGrantsUrl, toGrantUrl, toInstallationsUrl, toTokensUrl } from './pages.ts';
import { findHiddenOrganizations, readRefusal, toRefusalError } from './refusals.ts';
import * as schemas from './schemas.ts';
import { parseScopes, toPermissionNames } from './scopes.ts';
import * as v from 'valibot';

const hourMs = 3_600_000;

/** Secrets of GitHub's that are no token to paste, and what to do instead. */
const otherSecrets: readonly (readonly [pattern: RegExp, what: string, hint: string])[] = [
  [
    /^ghr_/,
    'a refresh token, which works once and only for the program that got it',
    'Sign in with gitlink itself: --method oauth',
  ],
  [
    /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/,
    'a token that an App signs for itself, which lives for minutes',
    'Link the App with its key: --app-id ID --app-key-file FILE',
  ],
  [
    /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
    'the private key of an App',
    'Link the App with it: --app-id ID --app-key-file FILE',
  ],
];

export function recogniseToken(token: Secret): TokenShape {
  const other = otherSecrets.find(([pattern]) => token.matches(pattern));
  if (other) return { use: 'none', what: other[1], hint: other[2] };
  return { use: 'api', kind: findKind({ kind: classicKind, token }) };
}

/**
 * Verifies a credential. An installation's token may not ask who it is, and is refused for trying.
 *
 * @throws AuthError when the host refuses it.
 */
export async function identify(access: HostAccess): Promise<Identity> {
  const credentialKind = findKind(access.credential);
  if (credentialKind === installationKind) return identifyInstallation(access);
  const api = openApi(access);
  const { headers, body } = await api.request({ method: 'GET', route: route`/user` });
  const account = toAccount(narrow(schemas.user, body, 'the account'));
  const common = {
    account,
    credentialKind,
    // A sign-in is renewed by itself.
    expiresAt: credentialKind === signInKind ? null : readExpiry(headers),
  };
  if (credentialKind === fineGrainedKind) {
    return { ...common, scopes: null, ...toHindered(await findApprovalGap(access, api, account)) };
  }
  if (isAppUser(access.credential.token)) return { ...common, scopes: await findAppPermissions(api) };
  const scopes = parseScopes(headers.get('x-oauth-scopes'));
  return { ...common, scopes, ...toHindered(await findSsoGap(access, api, credentialKind)) };
}

function toAccount({ login, id, type }: schemas.User): Account {
  return { login, kind: type === 'Bot' ? 'bot' : 'user', id: String(id) };
}

function toHindered(hindrance: Hindrance | null): { readonly hindrance?: Hindrance } {
  return hindrance === null ? {} : { hindrance };
}

/**
 * An installation's token shows what it is of by the repositories that it reaches, and by nothing else. One that
 * gitlink did not mint itself ends within the hour, and is not renewed.
 */
async function identifyInstallation(access: HostAccess): Promise<Identity> {
  const { account, http, credential } = access;
  const request = {
    method: 'GET',
    route: route`/installation/repositories`,
    query: { per_page: 1 },
  } as const;
  const answer = await openApi(access).request({ ...request, accept: [403] });
  const isKnown = account.kind === 'installation';
  const expiresAt = isKnown ? null : access.now() + hourMs;
  const common = { credentialKind: installationKind, scopes: null, expiresAt };
  if (answer.status === 403) {
    const explanation = readRefusal(answer.body) ?? '';
    if (!/suspended/i.test(explanation)) throw toRefusalError(http.base, request, answer, credential.kind);
    const pageUrl = toInstallationsUrl(access.host);
    return {
      ...common,
      account: { ...account, kind: 'installation' },
      hindrance: { status: 'suspended', reason: 'suspended', explanation, pageUrl },
    };
  }
  const [first] = narrow(schemas.repositoryPage, answer.body, 'the installation').repositories;
  const login = first?.owner.login ?? account.login;
  return { ...common, account: isKnown ? account : { login, kind: 'installation', id: null } };
}

/**
 * When a token ends, in milliseconds since the epoch; null for never. The time has one of two forms (go-github#2649).
 */
function readExpiry(headers: Headers): number | null {
  const text = headers.get('github-authentication-token-expiration') ?? '';
  const [, day, time, zone] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (UTC|[+-]\d{4})$/.exec(text) ?? [];
  const expiresAt = Date.parse(`${day}T${time}${zone === 'UTC' ? 'Z' : zone}`);
  return Number.isNaN(expiresAt) ? null : expiresAt;
}

/**
 * Looks whether organizations hide from the token until it is authorised for their single sign-on. Enterprise
 * Servers have none for organizations.
 */
async function findSsoGap(access: HostAccess, api: HostClient, kind: string): Promise<Hindrance | null> {
  if (isEnterpriseServer(access)) return null;
  const { host, client } = access;
  const answer = await askAside(() =>
    api.request({
      method: 'GET',
      route: route`/user/repos`,
      query: { affiliation: 'organization_member', per_page: 1 },
    }),
  );
  const hidden = answer === null ? [] : findHiddenOrganizations(answer.headers);
  if (hidden.length === 0) return null;
  const what = hidden.length === 1 ? 'An organization hides' : `${hidden.length} organizations hide`;
  const isSignIn = kind === signInKind;
  const pageUrl = client === null ? toGrantsUrl(host) : toGrantUrl(host, client.id);
  return {
    status: 'insufficient',
    reason: 'sso',
    explanation: `${what} from this ${isSignIn ? 'sign-in' : 'token'} until it is authorised for single sign-on (id ${hidden.join(', ')}).`,
    pageUrl: isSignIn ? pageUrl : toTokensUrl(host),
  };
}

/** What the App may do for the person: all that was granted to any of its installations. */
async function findAppPermissions(api: HostClient): Promise<readonly string[]> {
  const names = new Set(['metadata:read']);
  await askAside(async () => {
    for await (const installation of listUserInstallations(api)) {
      for (const name of toPermissionNames(installation.permissions)) names.add(name);
    }
  });
  return [...names].sort();
}

/** The installations of the App that a person's token is of, which that person can see. */
export async function* listUserInstallations(api: HostClient): AsyncIterable<schemas.Installation> {
  const pages = followLinkPages(api, {
    method: 'GET',
    route: route`/user/installations`,
    query: { per_page: 100 },
  });
  for await (const { body } of pages) {
    yield* narrow(schemas.installationPage, body, 'the installations').installations;
  }
}

/**
 * Looks whether a fine-grained token reaches the place that it is meant for. An organization that wants to approve
 * tokens lets them see only what is public until then, and nothing says so.
 */
async function findApprovalGap(
  { host, account: { kind, login: place } }: HostAccess,
  api: HostClient,
  user: Account,
): Promise<Hindrance | null> {
  if (kind !== 'unknown' || place === null) return null;
  const [owner = '', name = '', ...rest] = place.split('/');
  if (owner.toLowerCase() === user.login?.toLowerCase() || rest.length > 0) return null;
  const isVisible = name === '' ? await showsPrivate(api, owner) : await isThere(api, owner, name);
  if (isVisible) return null;
  const what = name === '' ? `What is private of ${owner}` : place;
  return {
    status: 'pending',
    reason: 'approval',
    explanation: `${what} cannot be seen with this token: an owner of ${owner} may have to approve it first, or it was made for other repositories.`,
    pageUrl: toFineGrainedUrl(host),
  };
}

async function isThere(api: HostClient, owner: string, name: string): Promise<boolean> {
  const request = { method: 'GET', route: route`/repos/${owner}/${name}`, accept: [404] } as const;
  return (await api.request(request)).status !== 404;
}

async function showsPrivate(api: HostClient, owner: string): Promise<boolean> {
  const { status, body } = await api.request({
    method: 'GET',
    route: route`/orgs/${owner}/repos`,
    query: { type: 'private', per_page: 1 },
    accept: [404],
  });
  return status !== 404 && narrow(v.array(schemas.repository), body, 'the repositories').length > 0;
}

/** Asks what is good to know. A refusal there is no word on the credential. */
async function askAside<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof GitlinkError && error.code === 'forbidden') return null;
    throw error;
  }
}
