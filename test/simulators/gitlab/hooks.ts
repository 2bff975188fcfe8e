import type { PlainAnswer, Route } from '../routes.ts';
import { requireGroup, requireProject } from './access.ts';
import { answerAbsent, refuse, refuseForbidden, refuseNotFound, refuseRequest } from './call.ts';
import type { Call, GitlabContext } from './call.ts';
import {
  addHook,
  groupEvents,
  hooksAt,
  interpolateUrl,
  projectEvents,
  removeHook,
  toHookJson,
} from './hook-state.ts';
import type { GitlabHook, HookPlace } from './hook-state.ts';
import { answerPage } from './paging.ts';
import { pagingParameters, readBody, readQuery, type Values } from './parameters.ts';
import type { Api } from './server.ts';

/** Where a hook hangs: found and checked per request. */
export type FindPlace = (call: Call) => HookPlace;

/** The webhooks of projects and groups, with their traps (`providers/gitlab.md` §5). */
export function listHookRoutes(context: GitlabContext, api: Api): Route[] {
  return hookLevels(context).flatMap(([path, findPlace]): Route[] => {
    const route = (
      method: string,
      template: string,
      permission: string,
      handle: (call: Call, place: HookPlace) => PlainAnswer,
    ): Route => ({
      method,
      template: path + template,
      handle: findPlace
        ? api(needOf(method, permission), (call) => handle(call, findPlace(call)))
        : answerAbsent,
    });
    return [
      route('GET', '', 'read_webhook', list),
      route('POST', '', 'create_webhook', create),
      route('GET', '/{hook_id}', 'read_webhook', read),
      route('PUT', '/{hook_id}', 'update_webhook', edit),
      route('DELETE', '/{hook_id}', 'delete_webhook', remove),
    ];
  });
}

/** Where the paths of each level begin; without a place in editions that do not have them. */
export function hookLevels({ behaviour }: GitlabContext): readonly [string, FindPlace | null][] {
  return [
    ['/api/v4/projects/{id}/hooks', (call) => ({ level: 'project', project: requireProject(call, 40) })],
    ['/api/v4/groups/{id}/hooks', behaviour.isEnterprise ? findGroupPlace : null],
  ];
}

function findGroupPlace(call: Call): HookPlace {
  const group = requireGroup(call, 50);
  if (!call.settings.hasLicence) throw refuseForbidden();
  return { level: 'group', group };
}

/** Hooks are the business of `api`; to read them `read_api` is enough. */
export function needOf(method: string, permission: string) {
  const scopes = method === 'GET' ? ['api', 'read_api'] : ['api'];
  return { scopes, permission, boundary: 'resource' } as const;
}

function list(call: Call, place: HookPlace): PlainAnswer {
  const values = readQuery(call, pagingParameters);
  return answerPage(call, values, hooksAt(call.state, place), { toJson: (hook) => toJson(call, hook) });
}

function read(call: Call, place: HookPlace): PlainAnswer {
  readQuery(call, {});
  return { status: 200, json: toJson(call, requireHook(call, place)) };
}

function toJson(call: Call, hook: GitlabHook) {
  return toHookJson(call.behaviour, hook, call.now());
}

export function requireHook(call: Call, place: HookPlace): GitlabHook {
  const id = Number(call.request.params['hook_id']);
  const hook = hooksAt(call.state, place).find((candidate) => candidate.id === id);
  if (!hook) throw refuseNotFound();
  return hook;
}

function create(call: Call, place: HookPlace): PlainAnswer {
  const values = readBody(call, listParameters(call, place));
  const { maxProjectHooks, maxGroupHooks } = call.settings;
  const most = place.level === 'project' ? maxProjectHooks : maxGroupHooks;
  if (hooksAt(call.state, place).length >= most) {
    throw refuse(422, { base: [`Maximum number of ${place.level} hooks (${most}) exceeded`] });
  }
  const hook: GitlabHook = {
    id: call.state.nextId('hook'),
    place,
    url: '',
    name: null,
    description: null,
    token: null,
    signingToken: null,
    events: new Set(['push_events']),
    enableSslVerification: true,
    pushEventsBranchFilter: null,
    branchFilterStrategy: 'wildcard',
    customWebhookTemplate: null,
    customHeaders: {},
    urlVariables: {},
    createdAt: new Date(call.now()),
    failures: 0,
    backoffs: 0,
    disabledUntil: 0,
    deliveries: [],
  };
  assign(call, hook, values);
  addHook(call.state, hook);
  return { status: 201, json: toJson(call, hook) };
}

function edit(call: Call, place: HookPlace): PlainAnswer {
  const hook = requireHook(call, place);
  const values = readBody(call, { ...listParameters(call, place), url: 'string' });
  if (Object.keys(values).length === 0) throw refuseRequest(400, 'No parameters provided');
  if (values['url'] === undefined) call.request.recordFailure('a hook is edited without its url');
  assign(call, hook, values);
  return { status: 200, json: toJson(call, hook) };
}

function remove(call: Call, place: HookPlace): PlainAnswer {
  readBody(call, {});
  removeHook(call.state, requireHook(call, place));
  return { status: 204 };
}

function listParameters({ behaviour }: Call, place: HookPlace) {
  const events = place.level === 'project' ? projectEvents : groupEvents;
  return {
    url: 'string!',
    token: 'string',
    // Older servers do not know it and do not say so; gitlink looks at what comes back.
    signing_token: 'string',
    enable_ssl_verification: 'boolean',
    push_events_branch_filter: 'string',
    branch_filter_strategy: ['wildcard', 'regex', 'all_branches'],
    custom_webhook_template: 'string',
    url_variables: 'pairs',
    ...Object.fromEntries(events.map((event) => [event, 'boolean' as const])),
    ...(behaviour.hasHookNames
      ? { name: 'string' as const, description: 'string' as const, custom_headers: 'pairs' as const }
      : {}),
  } as const;
}

/** Changes only what was sent, but for what a new address takes with it. */
function assign(call: Call, hook: GitlabHook, values: Values): void {
  const text = (name: string, old: string | null) =>
    values[name] === undefined ? old : (values[name] as string | null) || null;
  const url = text('url', hook.url) ?? '';
  const isNewUrl = url !== hook.url;
  const isEdited = hook.url !== '';
  const merged = { ...hook.urlVariables, ...(values['url_variables'] as object | undefined) };
  const isNewTarget = interpolateUrl(url, merged) !== interpolateUrl(hook.url, hook.urlVariables);
  // An edit that leads elsewhere takes nothing secret along, not even what it brings itself.
  const isReset = isEdited && isNewTarget;
  const urlVariables = isReset && Object.keys(hook.urlVariables).length > 0 ? {} : merged;
  checkUrl(call, url, urlVariables);
  checkBranchFilter(values);
  checkSigningToken(call, values);
  hook.url = url;
  hook.urlVariables = urlVariables;
  hook.token = text('token', isNewUrl ? null : hook.token);
  if (call.behaviour.hasSigningTokens)
    hook.signingToken = text('signing_token', isNewUrl ? null : hook.signingToken);
  hook.customHeaders = isReset
    ? {}
    : { ...hook.customHeaders, ...(values['custom_headers'] as object | undefined) };
  hook.name = text('name', hook.name);
  hook.description = text('description', hook.description);
  hook.customWebhookTemplate = text('custom_webhook_template', hook.customWebhookTemplate);
  hook.pushEventsBranchFilter = text('push_events_branch_filter', hook.pushEventsBranchFilter);
  hook.branchFilterStrategy =
    (values['branch_filter_strategy'] as GitlabHook['branchFilterStrategy'] | undefined) ??
    hook.branchFilterStrategy;
  hook.enableSslVerification =
    (values['enable_ssl_verification'] as boolean | undefined) ?? hook.enableSslVerification;
  const events = new Set(hook.events);
  for (const [name, value] of Object.entries(values)) {
    if (!name.endsWith('_events')) continue;
    if (value === true) events.add(name);
    else events.delete(name);
  }
  hook.events = events;
}

/** All reasons look alike. */
function checkUrl(call: Call, url: string, variables: Readonly<Record<string, string>>): void {
  const target = interpolateUrl(url, variables);
  const parsed = target !== null && URL.canParse(target) ? new URL(target) : null;
  const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
  if (target === null || !parsed || !isHttp || isRefusedHost(call, parsed.hostname)) {
    throw refuseRequest(422, 'Invalid url given');
  }
}

/** Names are not looked up: those that are made for having no address stand for those that have none. */
function isRefusedHost({ settings }: Call, host: string): boolean {
  if (host.endsWith('.invalid')) return true;
  const isLocal = /^(localhost|127\.|10\.|192\.168\.|169\.254\.|\[::1\]|\[f[cd])/.test(host);
  return isLocal && !settings.allowsLocalWebhooks;
}

function checkBranchFilter(values: Values): void {
  const filter = values['push_events_branch_filter'];
  if (typeof filter === 'string' && /[~^:?\\\s]|\.\./.test(filter)) {
    throw refuseRequest(422, 'Invalid branch filter given');
  }
}

function checkSigningToken(call: Call, values: Values): void {
  const token = values['signing_token'];
  if (typeof token !== 'string' || token === '' || !call.behaviour.hasSigningTokens) return;
  const [, encoded = ''] = /^whsec_([A-Za-z0-9+/]+=*)$/.exec(token) ?? [];
  if (Buffer.from(encoded, 'base64').length === 32) return;
  throw refuse(422, { signing_token: ['must be whsec_ followed by 32 bytes in base64'] });
}
