import type { PlainAnswer, Route } from '../routes.ts';
import { isRecord, refuse, type Api, type Call } from './call.ts';
import { isPatScope } from './scopes.ts';
import type { AzureDevopsOrganization } from './state.ts';
import { addPat, isAlive, type PersonalToken } from './token-state.ts';

type Handler = (call: Call) => PlainAnswer;

/** The life of the caller's own PATs (`providers/azure-devops.md` §2c): for people with an Entra token. */
export function listPatRoutes(api: Api): Route[] {
  const template = '/vssps/{organization}/_apis/tokens/pats';
  const route = (method: string, scopes: readonly string[], handler: Handler): Route => ({
    method,
    template,
    handle: api.ofOrganization({ scopes: [], isPreview: true }, (call) => {
      requirePerson(call, scopes);
      return handler(call);
    }),
  });
  const reading = ['vso.pats', 'vso.pats_manage'];
  const managing = ['vso.pats_manage'];
  return [
    route('GET', reading, (call) => (call.request.query.has('authorizationId') ? read(call) : list(call))),
    route('POST', managing, create),
    route('PUT', managing, update),
    route('DELETE', managing, revoke),
  ];
}

/**
 * A PAT cannot have these scopes, whatever else it has, and a service principal has none: only people with an
 * Entra token make and end PATs.
 *
 * @throws Refusal 401.
 */
function requirePerson({ actor }: Call, scopes: readonly string[]): void {
  const { token } = actor;
  if ([...scopes, 'user_impersonation'].some((scope) => token.scopes.includes(scope))) return;
  throw refuse(401, 'InvalidAccessException', 'The requested operation is not allowed.');
}

const dayMs = 86_400_000;
const defaultLifeDays = 30;
const defaultPage = 20;

function ownTokens({ state, organization, actor }: Call): readonly PersonalToken[] {
  return [...state.tokens.values()].filter(
    (token): token is PersonalToken =>
      token.kind === 'pat' && token.organization === organization && token.user === actor.user,
  );
}

function list(call: Call): PlainAnswer {
  const { query } = call.request;
  const filter = query.get('displayFilterOption') ?? 'active';
  const found = ownTokens(call).filter((token) => {
    if (filter === 'all') return true;
    if (filter === 'revoked') return token.revoked;
    if (filter === 'expired') return !token.revoked && token.expiresAt <= call.now();
    return isAlive(token, call.now());
  });
  const first = Number(query.get('continuationToken') ?? 0);
  const last = first + Number(query.get('$top') ?? defaultPage);
  const json = {
    continuationToken: last < found.length ? String(last) : '',
    patTokens: found.slice(first, last).map((token) => toPatJson(token)),
  };
  return { status: 200, json };
}

function read(call: Call): PlainAnswer {
  const token = findOwn(call, call.request.query.get('authorizationId'));
  return token ? answerPat(toPatJson(token)) : answerError('authorizationNotFound');
}

function create(call: Call): PlainAnswer {
  const { state, organization, actor, now } = call;
  const body = readBody(call);
  if (!organization.policies.allowsCreation) return answerError('disablePatCreationPolicyViolation');
  const { displayName, scope, validTo } = body;
  if (typeof displayName !== 'string' || displayName === '') return answerError('displayNameRequired');
  const expiresAt = validTo === undefined ? now() + defaultLifeDays * dayMs : readTime(validTo);
  const error = judge(organization, body, expiresAt, now());
  if (error !== null) return answerError(error);
  const wish = {
    name: displayName,
    user: actor.user.login,
    organization: organization.name,
    scopes: toScopes(scope),
    expiresAt,
  };
  const token = addPat(state, wish, now());
  return answerPat({ ...toPatJson(token), token: token.secret });
}

/** A new name, scopes or end for the same secret; what is left out stays. */
function update(call: Call): PlainAnswer {
  const body = readBody(call);
  const token = findOwn(call, body['authorizationId']);
  if (!token || token.revoked) return answerError('authorizationNotFound');
  if (token.expiresAt <= call.now()) return answerError('expiredPatCannotBeExtended');
  const expiresAt = body['validTo'] === undefined ? token.expiresAt : readTime(body['validTo']);
  const scope = body['scope'] ?? token.scopes.join(' ');
  const error = judge(call.organization, { ...body, scope }, expiresAt, call.now());
  if (error !== null) return answerError(error);
  if (typeof body['displayName'] === 'string') token.name = body['displayName'];
  Object.assign(token, { scopes: toScopes(scope), expiresAt });
  return answerPat(toPatJson(token));
}

function revoke(call: Call): PlainAnswer {
  const token = findOwn(call, call.request.query.get('authorizationId'));
  if (!token) throw refuse(404, 'TokenNotFoundException', 'The authorization was not found.');
  token.revoked = true;
  return { status: 204 };
}

function findOwn(call: Call, authorizationId: unknown): PersonalToken | undefined {
  return ownTokens(call).find((token) => token.authorizationId === authorizationId);
}

function readBody({ request }: Call): Readonly<Record<string, unknown>> {
  if (isRecord(request.body)) return request.body;
  throw refuse(400, 'JsonReaderException', 'Unexpected character encountered while parsing value.');
}

function readTime(value: unknown): number {
  return typeof value === 'string' ? Date.parse(value) : NaN;
}

function toScopes(scope: unknown): readonly string[] {
  return typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [];
}

/** What is wrong with a wish, in the service's word. */
function judge(
  { policies }: AzureDevopsOrganization,
  { scope, allOrgs }: Readonly<Record<string, unknown>>,
  expiresAt: number,
  now: number,
): string | null {
  const scopes = toScopes(scope);
  if (allOrgs === true) return 'globalPATCreationBlocked';
  if (scopes.length === 0 || !scopes.every(isPatScope)) return 'invalidScope';
  if (scopes.includes('app_token') && !policies.allowsFullScope) return 'fullScopePatPolicyViolation';
  // Also what is no time at all.
  if (!(expiresAt > now && expiresAt <= now + 366 * dayMs)) return 'invalidValidTo';
  return expiresAt > now + policies.maxLifespanDays * dayMs ? 'patLifespanPolicyViolation' : null;
}

/** A failure is a 200 as well. */
function answerError(error: string): PlainAnswer {
  const json = { patToken: null, patTokenError: error, patTokenErrorMessage: `Refused: ${error}.` };
  return { status: 200, json };
}

function answerPat(patToken: object): PlainAnswer {
  return { status: 200, json: { patToken, patTokenError: 'none' } };
}

/** The secret is told once, when the token is made. */
function toPatJson({ name, scopes, organization, createdAt, expiresAt, authorizationId }: PersonalToken) {
  return {
    displayName: name,
    validTo: new Date(expiresAt).toISOString(),
    scope: scopes.join(' '),
    targetAccounts: [organization.id],
    validFrom: new Date(createdAt).toISOString(),
    authorizationId,
    token: null,
  };
}
