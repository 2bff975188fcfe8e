import * as v from 'valibot';
import { ForbiddenError, NotFoundError } from '../../errors.ts';
import { isAnswer } from '../../http/host-answer-error.ts';
import type { Route } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { AuditSupport, Connection, ConnectionKind, InspectedWebhook } from '../audit-support.ts';
import { joinParts, toSafeAddress, type ConnectionPart } from '../connection-parts.ts';
import { narrow } from '../narrow.ts';
import { signInKind, type HostAccess, type Repository } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { send } from './ask.ts';
import { toNamespace, toRepository, toWebhook } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { toHooksUrl, toTokensUrl, toTokensUrlOf, toTokensUrlOfUser } from './pages.ts';
import * as schemas from './schemas.ts';
import { toTime } from './token-records.ts';

/**
 * What hangs at a project and its repositories. Tokens are listed for sign-ins alone: those of a place for its
 * administrators, those of a person for an administrator of the system.
 *
 * @see https://developer.atlassian.com/server/bitbucket/rest/v906/intro/
 */
export const audit: AuditSupport = { inspectWebhooks, listConnections };

const listedToken = v.object({
  ...schemas.accessToken.entries,
  lastAuthenticated: v.nullish(v.union([v.number(), v.string()])),
});

async function inspectWebhooks(
  access: HostAccess,
  place: WebhookPlace,
  ownIds: ReadonlySet<string>,
): Promise<readonly InspectedWebhook[]> {
  const inspected: InspectedWebhook[] = [];
  for (const found of await endpoints.listHooks(access, place)) {
    const webhook = toWebhook(found);
    inspected.push({
      ...webhook,
      checksCertificate: found.sslVerificationRequired,
      // Also one that is masked is one.
      hasSecret: Boolean(found.configuration?.['secret']),
      failure: ownIds.has(webhook.id) ? await findFailure(access, place, found.id) : null,
    });
  }
  return inspected;
}

async function findFailure(access: HostAccess, place: WebhookPlace, hookId: number): Promise<string | null> {
  const newest = await endpoints.fetchLatest(access, place, hookId);
  const { outcome, statusCode } = newest?.result ?? {};
  if (outcome == null || outcome === 'SUCCESS') return null;
  if (statusCode) return `the receiver answered ${statusCode} last`;
  return outcome === 'ERROR'
    ? 'the receiver was not reached last'
    : 'the receiver did not accept the last delivery';
}

async function* listConnections(
  access: HostAccess,
  project: string,
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, void, undefined> {
  const found = await findProject(access, project);
  if (found === null) throw new NotFoundError(`The credential sees no project ${project} at ${access.host}.`);
  const key = toNamespace(found);
  const repositories = await listRepositories(access, key);
  const places = repositories.map((repository) => ({ level: 'repository', repository }) as const);
  const parts: readonly ConnectionPart[] = [
    ['webhooks of the project', listHooks(access, [{ level: 'namespace', namespace: key }])],
    ['webhooks of its repositories', listHooks(access, places)],
    ['tokens of the project', listPlaceTokens(access, 'project', [key])],
    [
      'tokens of its repositories',
      listPlaceTokens(
        access,
        'repository',
        repositories.map(({ fullName }) => fullName),
      ),
    ],
    ['personal tokens of others', listPersonalTokens(access, key)],
  ];
  if (yield* joinParts(parts, onHidden)) return;
  throw new ForbiddenError(`The credential may see nothing that others connected to ${key}.`, {
    hint: 'Webhooks take an administrator of the project, tokens a sign-in of one.',
  });
}

async function findProject(access: HostAccess, key: string): Promise<schemas.Project | null> {
  try {
    const { status, body } = await send(access, {
      method: 'GET',
      route: route`/projects/${key}`,
      accept: [404],
    });
    return status === 404 ? null : narrow(schemas.project, body, 'the project');
  } catch (error) {
    if (error instanceof ForbiddenError) return null;
    throw error;
  }
}

async function listRepositories(access: HostAccess, key: string): Promise<readonly Repository[]> {
  const place = route`/projects/${key}/repos`;
  const repositories: Repository[] = [];
  for await (const found of endpoints.list(access, place, schemas.repository, 'the repositories')) {
    repositories.push(toRepository(access.host, found, false));
  }
  return repositories;
}

async function* listHooks(
  access: HostAccess,
  places: readonly WebhookPlace[],
): AsyncGenerator<Connection | null> {
  for (const place of places) {
    const owner = place.level === 'repository' ? place.repository.fullName : place.namespace;
    const hooks = await tryList(() => endpoints.listHooks(access, place));
    if (hooks === null) yield null;
    for (const { name, url, active, events } of hooks ?? []) {
      yield {
        kind: 'webhook',
        name: [name, toSafeAddress(url)].filter(Boolean).join(' '),
        owner,
        powers: events ?? [],
        expiresAt: null,
        lastUsedAt: null,
        isActive: active ?? true,
        pageUrl: toHooksUrl(access.host, place.level, owner),
      };
    }
  }
}

async function* listPlaceTokens(
  access: HostAccess,
  kind: 'project' | 'repository',
  places: readonly string[],
): AsyncGenerator<Connection | null> {
  for (const login of places) {
    const [key = '', slug = ''] = login.split('/');
    const where = kind === 'project' ? route`/projects/${key}` : route`/projects/${key}/repos/${slug}`;
    const tokens = await listTokens(access, where);
    if (tokens === null) yield null;
    const pageUrl = toTokensUrlOf(access.host, { kind, login, id: null });
    for (const token of tokens ?? []) yield toConnection(token, 'project-token', login, pageUrl);
  }
}

/** Own ones, and those of whoever else may read the project, for an administrator of the system. */
async function* listPersonalTokens(access: HostAccess, key: string): AsyncGenerator<Connection | null> {
  const query = { permission: 'PROJECT_READ', 'permission.projectKey': key };
  const people = endpoints.list(access, route`/users`, schemas.user, 'the users', { query });
  for await (const { name, slug } of people) {
    const isOwn = name === access.account.login;
    const tokens = await listTokens(access, route`/users/${slug}`);
    if (tokens === null) yield null;
    const pageUrl = isOwn ? toTokensUrl(access.host) : toTokensUrlOfUser(access.host, slug);
    for (const token of tokens ?? []) yield toConnection(token, 'personal-token', name, pageUrl);
  }
}

function toConnection(
  { name, permissions, expiryDate, lastAuthenticated }: v.InferOutput<typeof listedToken>,
  kind: ConnectionKind,
  owner: string,
  pageUrl: string,
): Connection {
  // A token without an end, or a server that does not tell it: no version is known to say which.
  const expiresAt = toTime(expiryDate);
  // Servers that tell it tell the permissions, too; neither is described.
  const lastUsedAt = toTime(lastAuthenticated) ?? (permissions ? 'never' : null);
  return { kind, name, owner, powers: permissions ?? [], expiresAt, lastUsedAt, isActive: true, pageUrl };
}

/** @returns null for a credential that may not see them: no token may. */
async function listTokens(
  access: HostAccess,
  where: Route,
): Promise<readonly v.InferOutput<typeof listedToken>[] | null> {
  if (access.credential.kind !== signInKind) return null;
  const http = await access.openBase(`${access.host}/rest/access-tokens/latest`);
  return tryList(() => collect(endpoints.list(access, where, listedToken, 'the tokens', { http })));
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** @returns null where the credential may not see the list, or this version does not have it. */
async function tryList<Item>(list: () => Promise<readonly Item[]>): Promise<readonly Item[] | null> {
  try {
    return await list();
  } catch (error) {
    if (error instanceof ForbiddenError || isAnswer(error, 403) || isAnswer(error, 404)) return null;
    throw error;
  }
}
