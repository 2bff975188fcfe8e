import type { PlainAnswer, Route } from '../routes.ts';
import { requireOrganizationOwner, requireRepositoryAdmin } from './access.ts';
import {
  isRecord,
  readJson,
  refuse,
  refuseNotFound,
  rejectPublicOnly,
  requireActor,
  requireScopes,
} from './call.ts';
import type { Call, GiteaHandler } from './call.ts';
import { toInternalEvents } from './hook-events.ts';
import { answerPage } from './paging.ts';
import type { GiteaHook, GiteaRepository } from './state.ts';
import { toTime } from './times.ts';

/** Where a hook hangs: found and checked per request. */
interface HookPlace {
  readonly level: GiteaHook['level'];
  readonly id: number;
  readonly repository: GiteaRepository | null;
}

type FindPlace = (call: Call) => HookPlace;

const createFields = {
  type: 'string',
  config: 'record',
  events: 'strings',
  branch_filter: 'string',
  authorization_header: 'string',
  active: 'boolean',
  name: 'string',
} as const;

const editFields = {
  config: 'record',
  events: 'strings',
  branch_filter: 'string',
  authorization_header: 'string',
  active: 'boolean',
  name: 'string',
} as const;

/** Webhooks on all three levels, with their traps (`providers/gitea.md` §0, §5). */
export function listHookRoutes(api: (handler: GiteaHandler) => Route['handle']): Route[] {
  const levels: [string, FindPlace][] = [
    ['/api/v1/repos/{owner}/{repo}/hooks', findRepositoryPlace],
    ['/api/v1/orgs/{org}/hooks', findOrganizationPlace],
    ['/api/v1/user/hooks', findUserPlace],
  ];
  const routes = levels.flatMap(([path, findPlace]): Route[] => [
    { method: 'GET', template: path, handle: api((call) => list(call, findPlace(call))) },
    { method: 'POST', template: path, handle: api((call) => create(call, findPlace(call))) },
    { method: 'GET', template: `${path}/{id}`, handle: api((call) => read(call, findPlace(call))) },
    { method: 'PATCH', template: `${path}/{id}`, handle: api((call) => edit(call, findPlace(call))) },
    { method: 'DELETE', template: `${path}/{id}`, handle: api((call) => remove(call, findPlace(call))) },
  ]);
  const test = '/api/v1/repos/{owner}/{repo}/hooks/{id}/tests';
  return [
    ...routes,
    { method: 'POST', template: test, handle: api((call) => testHook(call, findRepositoryPlace(call))) },
  ];
}

function findRepositoryPlace(call: Call): HookPlace {
  requireScopes(call, 'repository');
  const repository = requireRepositoryAdmin(call);
  requireWebhooks(call);
  return { level: 'repository', id: repository.id, repository };
}

function findOrganizationPlace(call: Call): HookPlace {
  requireScopes(call, 'organization');
  requireActor(call);
  const organization = requireOrganizationOwner(call);
  requireWebhooks(call);
  return { level: 'organization', id: organization.id, repository: null };
}

function findUserPlace(call: Call): HookPlace {
  requireScopes(call, 'user');
  const { user } = requireActor(call);
  requireWebhooks(call);
  rejectPublicOnly(call);
  return { level: 'user', id: user.id, repository: null };
}

function requireWebhooks(call: Call): void {
  if (call.settings.disableWebhooks) throw refuse(call, 403, 'webhooks disabled by administrator');
}

function list(call: Call, place: HookPlace): PlainAnswer {
  const hooks = call.state.hooks.at(place.level, place.id);
  const hasLink = place.level !== 'repository' && call.behaviour.linksOwnerHooks;
  return answerPage(call, hooks, (hook) => toHookJson(call, hook), { hasLink });
}

function read(call: Call, place: HookPlace): PlainAnswer {
  return { status: 200, json: toHookJson(call, requireHook(call, place)) };
}

function create(call: Call, place: HookPlace): PlainAnswer {
  const body = readJson(call, createFields);
  const type = textOf(body['type']);
  const config = isRecord(body['config']) ? body['config'] : undefined;
  if (!type) throw refuse(call, 422, '[Type]: Required');
  if (!config) throw refuse(call, 422, '[Config]: Required');
  if (!call.behaviour.hookTypes.includes(type)) throw refuse(call, 422, `Invalid hook type: ${type}`);
  for (const option of ['url', 'content_type']) {
    if (!(option in config)) throw refuse(call, 422, `Missing config option: ${option}`);
  }
  const id = call.state.nextId('hook');
  const hook: GiteaHook = {
    id,
    level: place.level,
    placeId: place.id,
    type,
    contentType: readContentType(call, config['content_type']),
    url: readUrl(call, config['url']),
    secret: textOf(config['secret']),
    events: toInternalEvents(call.behaviour, listOf(body['events'])),
    branchFilter: readBranchFilter(call, body['branch_filter']),
    authorizationHeader: textOf(body['authorization_header']),
    active: body['active'] === true,
    name: call.behaviour.hasHookNames ? textOf(body['name']).trim() : '',
    createdAt: new Date(),
    updatedAt: new Date(),
  };
  call.state.hooks.add(hook);
  return { status: 201, json: toHookJson(call, hook) };
}

/** Rewrites events, branch filter and authorization header even where they were not sent; never the secret. */
function edit(call: Call, place: HookPlace): PlainAnswer {
  const body = readJson(call, editFields);
  const hook = requireHook(call, place);
  const config = isRecord(body['config']) ? body['config'] : {};
  if ('url' in config) hook.url = readUrl(call, config['url']);
  if ('content_type' in config) hook.contentType = readContentType(call, config['content_type']);
  const { untouchedEvents } = call.behaviour;
  hook.events = [
    ...toInternalEvents(call.behaviour, listOf(body['events'])).filter(
      (event) => !untouchedEvents.includes(event),
    ),
    ...hook.events.filter((event) => untouchedEvents.includes(event)),
  ];
  hook.branchFilter = readBranchFilter(call, body['branch_filter']);
  hook.authorizationHeader = textOf(body['authorization_header']);
  if (typeof body['active'] === 'boolean') hook.active = body['active'];
  if (call.behaviour.hasHookNames && typeof body['name'] === 'string') hook.name = body['name'].trim();
  hook.updatedAt = new Date();
  return { status: 200, json: toHookJson(call, hook) };
}

function remove(call: Call, place: HookPlace): PlainAnswer {
  call.state.hooks.remove(requireHook(call, place));
  return { status: 204 };
}

function testHook(call: Call, place: HookPlace): PlainAnswer {
  const { repository } = place;
  const actor = requireActor(call);
  if (!repository) throw refuseNotFound(call);
  // The servers look at the repository before the hook.
  if (repository.empty && call.behaviour.refusesTestOfEmpty)
    throw refuseNotFound(call, 'repository is empty');
  if (repository.empty) return { status: 204 };
  const hook = requireHook(call, place);
  const ref = call.request.query.get('ref') ?? `refs/heads/${repository.defaultBranch}`;
  call.deliveries.deliver(hook, call.deliveries.describeTest(repository, actor.user, ref));
  return { status: 204 };
}

function requireHook(call: Call, place: HookPlace): GiteaHook {
  const id = Number(call.request.params['id']);
  const hook = call.state.hooks.at(place.level, place.id).find((candidate) => candidate.id === id);
  if (!hook) throw refuseNotFound(call);
  return hook;
}

function readUrl(call: Call, value: unknown): string {
  const text = textOf(value);
  const isUrl = URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
  if (!isUrl) throw refuse(call, 422, 'Invalid url');
  return text;
}

function readContentType(call: Call, value: unknown): GiteaHook['contentType'] {
  if (value === 'json' || value === 'form') return value;
  throw refuse(call, 422, 'Invalid content type');
}

/** The servers compile the pattern; an open bracket stands for all that they cannot. */
function readBranchFilter(call: Call, value: unknown): string {
  const text = textOf(value);
  const isOpen = /[[{][^\]}]*$/.test(text);
  if (isOpen) throw refuse(call, 422, '[BranchFilter]: unterminated character class');
  return text;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** A hook as the API shows it: never its secret, its events in no useful order. */
function toHookJson({ behaviour }: Pick<Call, 'behaviour'>, hook: GiteaHook) {
  const config = { url: hook.url, content_type: hook.contentType };
  return {
    id: hook.id,
    ...(behaviour.hasHookNames ? { name: hook.name } : {}),
    type: hook.type,
    ...(behaviour.repeatsHookConfig ? { ...config, metadata: null } : {}),
    branch_filter: hook.branchFilter,
    config,
    events: [...hook.events].reverse(),
    authorization_header: behaviour.showsAuthorizationHeader ? hook.authorizationHeader : '',
    active: hook.active,
    updated_at: toTime(hook.updatedAt),
    created_at: toTime(hook.createdAt),
  };
}
