import type { PlainAnswer, Route } from '../routes.ts';
import { brokenRule, demand, includes, isOwner, isScoped, requireRepository } from './access.ts';
import { isRecord, readBody, refuse, refuseNotFound, refuseResource, requireToken } from './call.ts';
import type { Api, Call, Need } from './call.ts';
import { listDeliveryRoutes } from './hook-deliveries.ts';
import { checkNeighbours, readConfig, readEvents, readName, readWholeConfig } from './hook-fields.ts';
import { toConfigJson, toHookJson } from './hook-json.ts';
import { createHook, hooksAt, removeHook, type GithubHook, type HookPlace } from './hook-state.ts';
import { answerPage } from './paging.ts';
import { hasScope } from './token-state.ts';
import { requireOrganization } from './users.ts';

type Action = 'read' | 'write' | 'delete';

/** Finds where the hooks of a request hang, if the caller may do that with them. */
type FindPlace = (call: Call, action: Action) => HookPlace;

/** Webhooks of repositories and organizations (`providers/github.md` §5). */
export function listHookRoutes(api: Api): Route[] {
  return [
    ...listAt(api, '/repos/{owner}/{repo}/hooks', findRepositoryPlace, 'repos/webhooks'),
    // What links and redirects name.
    ...listAt(api, '/repositories/{repository_id}/hooks', findRepositoryPlace, 'repos/webhooks').map(
      undescribe,
    ),
    ...listAt(api, '/orgs/{org}/hooks', findOrganizationPlace, 'orgs/webhooks'),
    ...listAt(api, '/organizations/{organization_id}/hooks', findOrganizationPlace, 'orgs/webhooks').map(
      undescribe,
    ),
  ];
}

function undescribe(route: Route): Route {
  return { ...route, undescribed: true };
}

function listAt(api: Api, path: string, find: FindPlace, page: string): Route[] {
  const isRepository = page.startsWith('repos');
  const family = isRepository ? 'repo_hook' : 'org_hook';
  const need = (action: Action, anchor: string): Need => {
    const level = action === 'read' ? 'read' : 'write';
    const scopes = isRepository
      ? [
          `admin:${family}`,
          ...(action === 'delete' ? [] : [`write:${family}`]),
          ...(action === 'read' ? [`read:${family}`] : []),
          'repo',
        ]
      : [`admin:${family}`];
    const permission = isRepository ? 'repository_hooks' : 'organization_hooks';
    return { who: 'token', scopes, permissions: { [permission]: level }, page: `${page}#${anchor}` };
  };
  const one = `${path}/{hook_id}`;
  const handle = (action: Action, anchor: string, work: (call: Call, place: HookPlace) => PlainAnswer) =>
    api(need(action, anchor), (call) => work(call, find(call, action)));
  return [
    { method: 'GET', template: path, handle: handle('read', 'list-webhooks', list) },
    { method: 'POST', template: path, handle: handle('write', 'create-a-webhook', create) },
    { method: 'GET', template: one, handle: handle('read', 'get-a-webhook', read) },
    { method: 'PATCH', template: one, handle: handle('write', 'update-a-webhook', edit) },
    { method: 'DELETE', template: one, handle: handle('delete', 'delete-a-webhook', remove) },
    {
      method: 'GET',
      template: `${one}/config`,
      handle: handle('read', 'get-a-webhook-configuration', readOnlyConfig),
    },
    {
      method: 'PATCH',
      template: `${one}/config`,
      handle: handle('write', 'update-a-webhook-configuration', editConfig),
    },
    { method: 'POST', template: `${one}/pings`, handle: handle('read', 'ping-a-webhook', ping) },
    ...(isRepository
      ? [
          {
            method: 'POST',
            template: `${one}/tests`,
            handle: handle('read', 'test-the-push-repository-webhook', test),
          },
        ]
      : []),
    ...listDeliveryRoutes(api, one, need, (call, action) => requireHook(call, find(call, action))),
  ];
}

/** Who has no admin role is told that there is nothing. @throws Refusal 403, 404. */
function findRepositoryPlace(call: Call, action: Action): HookPlace {
  const level = { read: 'read', write: 'write', delete: 'admin' }[action];
  const scopes = [`${level}:repo_hook`];
  const repository = requireRepository(call, scopes);
  demand(call, repository, {
    scopes,
    permission: 'repository_hooks',
    level: action === 'read' ? 'read' : 'write',
    role: 'admin',
  });
  if (repository.archived && call.request.method !== 'GET') {
    throw refuse(403, 'Repository was archived so is read-only.', { page: call.need.page });
  }
  return { level: 'repository', repository };
}

/** For owners, and for apps that may. @throws Refusal 403, 404. */
function findOrganizationPlace(call: Call, action: Action): HookPlace {
  const organization = requireOrganization(call);
  const token = requireToken(call);
  const broken = brokenRule(call, organization);
  if (broken && organization.members.has(token.user?.id ?? 0)) throw broken.refusal;
  if (isScoped(token)) {
    if (!hasScope(token.scopes, ['admin:org_hook'])) throw refuseNotFound(call);
  } else {
    const isHere =
      token.installation?.account === organization ||
      (token.resourceOwner === organization && !token.isPending);
    const level = action === 'read' ? 'read' : 'write';
    if (!isHere || !includes(token.permissions, 'organization_hooks', level)) throw refuseResource(call);
  }
  if (token.user && !isOwner(token.user, organization)) throw refuseNotFound(call);
  return { level: 'organization', organization };
}

/** An OAuth App sees at an organization what it made itself, and others see all but that. */
function hooksFor(call: Call, place: HookPlace): readonly GithubHook[] {
  const hooks = hooksAt(call.state, place);
  if (place.level !== 'organization') return hooks;
  const creator = creatorOf(call);
  return hooks.filter((hook) => hook.creator === creator);
}

function creatorOf(call: Call) {
  const token = requireToken(call);
  return token.kind === 'oauth' ? token.client : null;
}

function requireHook(call: Call, place: HookPlace): GithubHook {
  const id = Number(call.request.params['hook_id']);
  const hook = hooksFor(call, place).find((candidate) => candidate.id === id);
  if (!hook) throw refuseNotFound(call);
  return hook;
}

function list(call: Call, place: HookPlace): PlainAnswer {
  const linkPath =
    place.level === 'repository' ? { linkPath: `/repositories/${place.repository.id}/hooks` } : {};
  return answerPage(call, hooksFor(call, place), { toJson: (hook) => toHookJson(call, hook), ...linkPath });
}

function read(call: Call, place: HookPlace): PlainAnswer {
  return { status: 200, json: toHookJson(call, requireHook(call, place)) };
}

function create(call: Call, place: HookPlace): PlainAnswer {
  const body = readBody(call);
  readName(call, body['name']);
  const config = readWholeConfig(call, body['config']);
  const events = readEvents(call, body['events'] ?? ['push']);
  checkNeighbours(call, hooksAt(call.state, place), { ...config, events });
  const active = body['active'] !== false;
  const hook = createHook(call.state, call.now(), {
    place,
    ...config,
    events,
    active,
    creator: creatorOf(call),
  });
  if (active) call.deliveries.ping(hook);
  return { status: 201, json: toHookJson(call, hook) };
}

/** A config without a secret takes the secret away. */
function edit(call: Call, place: HookPlace): PlainAnswer {
  const body = readBody(call);
  const hook = requireHook(call, place);
  const config = body['config'] === undefined ? null : readWholeConfig(call, body['config']);
  const replaced = body['events'] === undefined ? hook.events : readEvents(call, body['events']);
  const added = readEvents(call, body['add_events']);
  const removed = readEvents(call, body['remove_events']);
  const events = [...new Set([...replaced, ...added])].filter((event) => !removed.includes(event));
  if (isRecord(body['config']) || events.join() !== hook.events.join()) {
    const others = hooksAt(call.state, place).filter((other) => other !== hook);
    checkNeighbours(call, others, { ...hook, ...config, events });
  }
  Object.assign(hook, config ?? {}, { events });
  if (typeof body['active'] === 'boolean') hook.active = body['active'];
  hook.updatedAt = new Date(call.now());
  return { status: 200, json: toHookJson(call, hook) };
}

function remove(call: Call, place: HookPlace): PlainAnswer {
  removeHook(call.state, requireHook(call, place));
  return { status: 204 };
}

function readOnlyConfig(call: Call, place: HookPlace): PlainAnswer {
  return { status: 200, json: toConfigJson(requireHook(call, place)) };
}

/** Changes what is sent and nothing else. */
function editConfig(call: Call, place: HookPlace): PlainAnswer {
  const hook = requireHook(call, place);
  const config = readConfig(call, readBody(call));
  if (config.url !== undefined && config.url !== hook.url) {
    const others = hooksAt(call.state, place).filter((other) => other !== hook);
    checkNeighbours(call, others, { ...hook, ...config });
  }
  Object.assign(hook, config);
  hook.updatedAt = new Date(call.now());
  return { status: 200, json: toConfigJson(hook) };
}

function ping(call: Call, place: HookPlace): PlainAnswer {
  call.deliveries.ping(requireHook(call, place));
  return { status: 204 };
}

/** Sends the latest push, to a hook that listens to pushes; else nothing, and says the same. */
function test(call: Call, place: HookPlace): PlainAnswer {
  const hook = requireHook(call, place);
  if (place.level !== 'repository') throw refuseNotFound(call);
  const { repository } = place;
  const listens = hook.events.includes('push') || hook.events.includes('*');
  if (listens && !repository.empty) {
    call.deliveries.send(hook, call.deliveries.describePush(repository, requireToken(call).user));
  }
  return { status: 204 };
}
