import * as v from 'valibot';
import { ForbiddenError, NotFoundError } from '../../errors.ts';
import type { HostClient, Route } from '../../http/host-client.ts';
import { fetchCountedPages, type CountedPage } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import type { AuditSupport, Connection, ConnectionKind, InspectedWebhook } from '../audit-support.ts';
import { joinParts, toMoment, toSafeAddress, type ConnectionPart } from '../connection-parts.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { toWebhook } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { pacing } from './pacing.ts';
import { hook, project } from './schemas.ts';

/** @see https://docs.gitlab.com/api/group_access_tokens/ and the pages beside it */
export const audit: AuditSupport = { inspectWebhooks, listConnections };

const id = v.pipe(v.number(), v.safeInteger());
const names = v.nullish(v.array(v.string()), []);

const token = v.object({
  id,
  name: v.string(),
  scopes: names,
  active: v.nullish(v.boolean(), true),
  expires_at: v.nullish(v.string()),
  last_used_at: v.nullish(v.string()),
});

const deployToken = v.object({
  id,
  name: v.string(),
  username: v.nullish(v.string()),
  scopes: names,
  expires_at: v.nullish(v.string()),
  revoked: v.nullish(v.boolean(), false),
  expired: v.nullish(v.boolean(), false),
});

const serviceAccount = v.object({ id, username: v.string() });

async function inspectWebhooks(
  access: HostAccess,
  place: WebhookPlace,
  ownIds: ReadonlySet<string>,
): Promise<readonly InspectedWebhook[]> {
  const inspected: InspectedWebhook[] = [];
  for await (const found of endpoints.listHooks(access, place)) {
    const { enable_ssl_verification: checks, token_present: hasToken, signing_token_present: hasKey } = found;
    const webhook = toWebhook(found);
    const isTold = hasToken != null || hasKey != null;
    inspected.push({
      ...webhook,
      checksCertificate: typeof checks === 'boolean' ? checks : null,
      hasSecret: isTold ? hasToken === true || hasKey === true : null,
      failure: ownIds.has(webhook.id) ? await findFailure(access, place, webhook.id) : null,
    });
  }
  return inspected;
}

/** A paused hook is told by its state already; this is what the receiver said last. */
async function findFailure(access: HostAccess, place: WebhookPlace, hookId: string): Promise<string | null> {
  const answer = await endpoints.fetchLastDelivery(access, place, hookId);
  return answer === null || /^2\d\d$/.test(answer) ? null : `the receiver answered ${answer} last`;
}

async function* listConnections(
  access: HostAccess,
  group: string,
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, void, undefined> {
  const { http, host } = access;
  const { status } = await http.request({
    method: 'GET',
    route: route`/groups/${group}`,
    query: { with_projects: false },
    accept: [404],
  });
  if (status === 404) throw new NotFoundError(`The credential sees no group ${group} at ${host}.`);
  const parts: readonly ConnectionPart[] = [
    [
      'tokens of the group',
      listTokens(
        http,
        route`/groups/${group}/access_tokens`,
        'group-token',
        group,
        `${host}/groups/${group}/-/settings/access_tokens`,
      ),
    ],
    [
      'deploy tokens of the group',
      listDeployTokens(
        http,
        route`/groups/${group}/deploy_tokens`,
        group,
        `${host}/groups/${group}/-/settings/repository`,
      ),
    ],
    ['service accounts', listServiceAccounts(access, group)],
    ['webhooks of the group', listGroupHooks(access, group)],
    ['tokens of its projects', listProjects(access, group)],
  ];
  if (yield* joinParts(parts, onHidden)) return;
  throw new ForbiddenError(`The credential may see nothing that others connected to ${group}.`, {
    hint: 'It takes the role Owner in the group and the scope api.',
  });
}

/** @returns null in place of what the credential may not see. */
async function* listTokens(
  http: HostClient,
  place: Route,
  kind: ConnectionKind,
  owner: string,
  pageUrl: string,
): AsyncGenerator<Connection | null, void, undefined> {
  for await (const found of listAll(http, place, token, { state: 'active' })) {
    if (found === null) {
      yield null;
      return;
    }
    const { name, scopes, active, expires_at: end, last_used_at: used } = found;
    yield {
      kind,
      name,
      owner,
      powers: scopes ?? [],
      expiresAt: toMoment(end) ?? 'never',
      lastUsedAt: toMoment(used) ?? 'never',
      isActive: active ?? true,
      pageUrl,
    };
  }
}

async function* listDeployTokens(
  http: HostClient,
  place: Route,
  owner: string,
  pageUrl: string,
): AsyncGenerator<Connection | null, void, undefined> {
  for await (const found of listAll(http, place, deployToken)) {
    if (found === null) {
      yield null;
      return;
    }
    const { name, scopes, expires_at: end, revoked, expired } = found;
    if (revoked || expired) continue;
    const expiresAt = toMoment(end) ?? 'never';
    yield {
      kind: 'deploy-token',
      name,
      owner,
      powers: scopes ?? [],
      expiresAt,
      lastUsedAt: null,
      isActive: true,
      pageUrl,
    };
  }
}

async function* listServiceAccounts(
  { http, host }: HostAccess,
  group: string,
): AsyncGenerator<Connection | null, void, undefined> {
  for await (const account of listAll(http, route`/groups/${group}/service_accounts`, serviceAccount)) {
    if (account === null) {
      yield null;
      return;
    }
    const place = route`/groups/${group}/service_accounts/${account.id}/personal_access_tokens`;
    const pageUrl = `${host}/groups/${group}/-/settings/service_accounts`;
    yield* listTokens(http, place, 'service-account-token', account.username, pageUrl);
  }
}

async function* listGroupHooks(
  { http, host }: HostAccess,
  group: string,
): AsyncGenerator<Connection | null, void, undefined> {
  for await (const found of listAll(http, route`/groups/${group}/hooks`, hook)) {
    if (found === null) {
      yield null;
      return;
    }
    const { url, events, active } = toWebhook(found);
    const pageUrl = `${host}/groups/${group}/-/hooks`;
    yield {
      kind: 'webhook',
      name: toSafeAddress(url),
      owner: group,
      powers: events,
      expiresAt: null,
      lastUsedAt: null,
      isActive: active,
      pageUrl,
    };
  }
}

async function* listProjects(
  { http, host }: HostAccess,
  group: string,
): AsyncGenerator<Connection | null, void, undefined> {
  for await (const { id: projectId, path_with_namespace: path } of endpoints.listGroupProjects(
    http,
    group,
    project,
    {
      archived: false,
    },
  )) {
    const settings = `${host}/${path}/-/settings`;
    yield* listTokens(
      http,
      route`/projects/${projectId}/access_tokens`,
      'project-token',
      path,
      `${settings}/access_tokens`,
    );
    yield* listDeployTokens(
      http,
      route`/projects/${projectId}/deploy_tokens`,
      path,
      `${settings}/repository`,
    );
  }
}

/** @returns null, and nothing more, where the credential may not see the list or this edition does not have it. */
async function* listAll<Schema extends v.GenericSchema>(
  http: HostClient,
  place: Route,
  schema: Schema,
  query: Readonly<Record<string, string>> = {},
): AsyncGenerator<v.InferOutput<Schema> | null, void, undefined> {
  let isHidden = false;
  const fetchPage = async (page: number): Promise<CountedPage<v.InferOutput<Schema>>> => {
    const { status, headers, body } = await http.request({
      method: 'GET',
      route: place,
      query: { ...query, page, per_page: endpoints.pageSize },
      accept: [401, 403, 404],
    });
    if (status !== 200) {
      isHidden = true;
      return { items: [], totalCount: 0 };
    }
    const count = Number(headers.get('x-total') ?? Number.NaN);
    const items = narrow(v.array(schema), body, 'the list');
    return { items, totalCount: Number.isSafeInteger(count) && count >= 0 ? count : null };
  };
  yield* fetchCountedPages(fetchPage, endpoints.pageSize, pacing.concurrency);
  if (isHidden) yield null;
}
