import { UsageError } from '../../errors.ts';
import type { Authorization } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { Secret } from '../../secret.ts';
import { toPrintable } from '../../printable.ts';
import { narrow } from '../narrow.ts';
import type { SignInPlace } from '../oauth-support.ts';
import {
  type Account,
  type Capability,
  type Credential,
  type HostAccess,
  type Identity,
  type TokenPage,
  type TokenShape,
} from '../provider.ts';
import { ask, narrowList } from './ask.ts';
import { readClaims } from './claims.ts';
import { gitCredentialKind } from './git.ts';
import { toProfileBase, toTokensUrl } from './pages.ts';
import { requireOrganization } from './places.ts';
import { toRefusalError } from './refusals.ts';
import * as schemas from './schemas.ts';
import { entraTokenKind, isEntraKind, toLeastScopes } from './scopes.ts';

const tokenKind = 'personal-access-token';

/** Azure DevOps in Entra, and the name under which older programs ask for it. */
const audiences = ['499b84ac-1321-427f-aa17-267ca6975798', 'https://app.vssps.visualstudio.com'];

/**
 * Judges a token by its shape. Personal access tokens have two, of 84 and of 52 characters, and what "Generate Git
 * credentials" gives looks like one of them; what is a JSON Web Token is Entra's, or that of a pipeline's job.
 *
 * @see https://learn.microsoft.com/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate#changes-to-format
 */
export function recogniseToken(token: Secret): TokenShape {
  if (!token.matches(/^eyJ[\w-]+\.[\w-]+\.[\w-]*$/)) {
    return { use: 'api', kind: tokenKind, gitKind: gitCredentialKind };
  }
  const { aud, iss } = readClaims(token) ?? {};
  const isEntra = /^https:\/\/(?:sts\.windows\.net|login\.microsoftonline\.com)\//.test(iss ?? '');
  if (!isEntra || audiences.includes((aud ?? '').replace(/\/$/, '')))
    return { use: 'api', kind: entraTokenKind };
  return {
    use: 'none',
    what: 'a token of Entra for something else than Azure DevOps',
    hint: `Ask Entra for one with the resource ${audiences[0]}, as in: az account get-access-token --resource ${audiences[0]}`,
  };
}

/** Tokens of Entra are bearer tokens; a personal access token is a password without a user name. */
export function toAuthorization({ kind, token }: Credential): Authorization {
  return isEntraKind(kind)
    ? { scheme: 'Bearer', secret: token }
    : { scheme: 'Basic', username: '', secret: token };
}

/**
 * Verifies a credential by asking whom the organization sees. What a personal access token may do and when it ends
 * nobody tells; a token of Entra says so itself.
 */
export async function identify(access: HostAccess): Promise<Identity> {
  const { credential } = access;
  if (!access.organization && isEntraKind(credential.kind)) throw await createNamelessError(access);
  const answer = await ask(access.http, {
    method: 'GET',
    route: route`/${requireOrganization(access)}/_apis/connectionData`,
    isPreview: true,
    accept: [203, 401, 403, 404],
  });
  if (answer.status !== 200) throw toRefusalError(access, answer);
  const connection = narrow(schemas.connection, answer.body, 'the account');
  // Organizations with public projects know strangers, too.
  if (isAnonymous(connection)) throw toRefusalError(access, { ...answer, status: 203 });
  const account = toAccount(connection);
  if (!isEntraKind(credential.kind)) {
    return { account, credentialKind: tokenKind, scopes: null, expiresAt: null, isExpiryHidden: true };
  }
  const { scp, exp } = readClaims(credential.token) ?? {};
  return {
    account,
    credentialKind: credential.kind,
    scopes: scp ? scp.split(' ').filter(Boolean).sort() : null,
    // A sign-in lasts as long as it can be renewed.
    expiresAt: exp && credential.kind === entraTokenKind ? exp * 1000 : null,
  };
}

function isAnonymous({ authenticatedUser }: schemas.Connection): boolean {
  const { id, subjectDescriptor, providerDisplayName } = authenticatedUser;
  return (
    /^a{8}-a{4}-a{4}-a{4}-a{12}$/i.test(id) ||
    subjectDescriptor?.startsWith('sys.') === true ||
    (providerDisplayName === 'Anonymous' && id.toLowerCase().startsWith('aaaaaaaa-'))
  );
}

/**
 * The id names the organization, too: the same person is somebody else in the next one, and the name of neither
 * is for ever.
 */
function toAccount({ authenticatedUser, instanceId }: schemas.Connection): Account {
  const { id, subjectDescriptor, providerDisplayName, properties } = authenticatedUser;
  const isProgram = /^(?:aadsp|svc)\./.test(subjectDescriptor ?? '');
  const name = (isProgram ? null : properties?.Account?.$value) || providerDisplayName;
  return {
    login: name ? toPrintable(name, 200) : null,
    kind: isProgram ? 'serviceAccount' : 'user',
    id: `${instanceId}/${id}`,
  };
}

/** Only a person's token of Entra may ask for organizations, and is told those of its own tenant. */
async function createNamelessError(access: HostAccess): Promise<UsageError> {
  const names = (await listOrganizations(access)).map((name) => toPrintable(name, 60));
  const hint = names.length === 0 ? '' : `: this account is in ${names.join(', ')}`;
  return new UsageError(`${access.host} serves many organizations, and none is named.`, {
    hint: `Name it with --organization${hint}`,
  });
}

async function listOrganizations(access: HostAccess): Promise<readonly string[]> {
  const http = await access.openBase(toProfileBase(access.host));
  const accept = [203, 401, 403, 404];
  const me = await ask(http, {
    method: 'GET',
    route: route`/_apis/profile/profiles/me`,
    version: '7.1-preview.3',
    accept,
  });
  if (me.status !== 200) return [];
  const { id } = narrow(schemas.profile, me.body, 'the account');
  const { status, body } = await ask(http, {
    method: 'GET',
    route: route`/_apis/accounts`,
    query: { memberId: id },
    version: '7.1-preview.1',
    accept,
  });
  if (status !== 200) return [];
  return narrowList(schemas.organization, body, 'the organizations').map(({ accountName }) => accountName);
}

/** No parameter of the page fills it in. */
export function toTokenPage(
  { host, organization }: SignInPlace,
  capabilities: readonly Capability[],
): TokenPage {
  const scopes = toLeastScopes(capabilities).filter((scope) => !scope.startsWith('vso.pats'));
  const words = scopes.map((scope) => `${pageWords[scope] ?? scope} (${scope})`).join(', ');
  return {
    url: toTokensUrl(host, organization),
    instructions: `Choose "New Token", name it "gitlink", keep the one organization, give it a last day within a year and, as custom defined scopes, ${words}. Note the last day: the host does not tell it later (--expires).`,
  };
}

/** The page's words. */
const pageWords: Readonly<Record<string, string>> = {
  'vso.code': 'Code: Read',
  'vso.code_write': 'Code: Read & write',
};
