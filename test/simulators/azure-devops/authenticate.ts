import type { PlainAnswer, SentAuthorization, SimulatorRequest } from '../routes.ts';
import { Refusal, toErrorAnswer, urlOf, type Actor, type AzureDevopsContext } from './call.ts';
import type { AzureDevopsOrganization } from './state.ts';
import { isAlive, type AzureDevopsToken } from './token-state.ts';

/** The token that an authorization carries, good or not. */
export function findToken(
  { state }: Pick<AzureDevopsContext, 'state'>,
  authorization: SentAuthorization,
): AzureDevopsToken | undefined {
  if (authorization.scheme === 'other') return undefined;
  return state.tokens.get(authorization.scheme === 'basic' ? authorization.password : authorization.secret);
}

/** PATs by Basic with any user name, Entra tokens by Bearer. */
function isRightForm({ kind }: AzureDevopsToken, { scheme }: SentAuthorization): boolean {
  return kind === 'pat' ? scheme === 'basic' : scheme === 'bearer';
}

/**
 * Finds out who sent an API request.
 *
 * @returns null for an anonymous request.
 * @throws Refusal for a credential that is no good, wherever it is sent.
 */
export function authenticate(
  context: AzureDevopsContext,
  request: SimulatorRequest,
  organization: AzureDevopsOrganization | null,
): Actor | null {
  const { authorization } = request;
  if (!authorization) return null;
  const token = findToken(context, authorization);
  if (!token || !isRightForm(token, authorization) || !isAlive(token, context.now())) {
    throw refuseSignIn(context, request, organization);
  }
  if (context.deployment === 'onPremises' && token.kind !== 'pat') {
    throw refuseSignIn(context, request, organization);
  }
  return { token, user: token.user };
}

/** Demands that a caller belongs to the organization. @throws Refusal 401, in words that say why. */
export function requireMember(
  context: AzureDevopsContext,
  request: SimulatorRequest,
  organization: AzureDevopsOrganization,
  { token, user }: Actor,
): void {
  const isElsewhere =
    token.kind === 'pat' ? token.organization !== organization : token.tenant !== organization.tenant;
  if (isElsewhere) {
    const message = `VS30063: You are not authorized to access ${context.webUrl()}.`;
    throw refuseSignIn(context, request, organization, message);
  }
  const membership = organization.members.get(user.id);
  if (!membership) {
    throw refuseSignIn(context, request, organization, toUnauthorized(user.id));
  }
  if (membership.materialized) return;
  const message = `TF401349: The Azure Active Directory user '${user.objectId}' has not been materialized. Please sign in once with a browser.`;
  throw new Refusal(toErrorAnswer(401, 'AadUserStateException', message));
}

export function toUnauthorized(id: string): string {
  return `TF400813: The user '${id}' is not authorized to access this resource.`;
}

const nobody = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa';

/** The headers by which an organization tells its tenant to whoever is not signed in. */
export function toChallenge(
  context: AzureDevopsContext,
  organization: AzureDevopsOrganization | null,
): Readonly<Record<string, string>> {
  if (context.deployment === 'onPremises') {
    return { 'www-authenticate': `Bearer, Basic realm="${context.webUrl()}/", Negotiate, NTLM` };
  }
  const tenant = organization?.tenant;
  const realm = organization ? urlOf(context, organization) : context.webUrl();
  const ways = [
    ...(tenant === undefined ? [] : [`Bearer authorization_uri=${context.loginUrl()}/${tenant}`]),
    `Basic realm="${realm}/"`,
    'TFS-Federated',
  ];
  return {
    'www-authenticate': ways.join(', '),
    ...(tenant === undefined ? {} : { 'x-vss-resourcetenant': tenant }),
  };
}

/**
 * What somebody gets who is not signed in, or not well (`providers/azure-devops.md` §3): a page of a good status,
 * or, for those who ask to be spared it, a 401.
 */
export function refuseSignIn(
  context: AzureDevopsContext,
  request: SimulatorRequest,
  organization: AzureDevopsOrganization | null,
  message = toUnauthorized(nobody),
): Refusal {
  const headers = toChallenge(context, organization);
  const isSuppressed = request.headers['x-tfs-fedauthredirect']?.toString().toLowerCase() === 'suppress';
  if (context.deployment === 'hosted' && !isSuppressed) {
    const isPage = context.settings.signIn === 'page';
    return new Refusal(isPage ? signInPage(headers) : toSignIn(context, headers));
  }
  if (context.deployment === 'onPremises' && !isSuppressed) {
    const text = `<!DOCTYPE html><html><head><title>Access Denied: ${message}</title></head></html>`;
    return new Refusal({ status: 401, headers, text, contentType: 'text/html; charset=utf-8' });
  }
  if (context.settings.suppressedBody === 'empty') return new Refusal({ status: 401, headers });
  return new Refusal({ ...toErrorAnswer(401, 'UnauthorizedRequestException', message), headers });
}

/** The sign-in page where an answer of the API should be. */
export function signInPage(headers: Readonly<Record<string, string>> = {}): PlainAnswer {
  return {
    status: 203,
    headers,
    text: '<!DOCTYPE html><html lang="en-US"><head><title>Azure DevOps Services | Sign In</title></head><body></body></html>',
    contentType: 'text/html; charset=utf-8',
  };
}

/** The way to that page. */
function toSignIn(
  { webUrl }: AzureDevopsContext,
  headers: Readonly<Record<string, string>> = {},
): PlainAnswer {
  return { status: 302, headers: { ...headers, location: `${webUrl()}/_signin` } };
}
