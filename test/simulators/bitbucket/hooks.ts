import type { PlainAnswer, Route } from '../routes.ts';
import { requireAdminOfRepository, requireWorkspaceOfCall, workspaceRoleOf } from './access.ts';
import {
  refuse,
  refuseForbidden,
  requireActor,
  requireScopes,
  type Api,
  type BitbucketContext,
  type Call,
} from './call.ts';
import { needOfEvents } from './hook-events.ts';
import { readHook, type SentHook } from './hook-fields.ts';
import { keyOf, type BitbucketHook, type HookPlace } from './hook-state.ts';
import { answerObject, answerPage } from './paging.ts';
import { fullNameOf } from './state.ts';
import { toWorkspaceBaseJson } from './users.ts';

type FindPlace = (call: Call) => HookPlace;

/** Webhooks of repositories and workspaces (`providers/bitbucket.md` §5). */
export function listHookRoutes(api: Api): Route[] {
  const reading = { classic: ['webhook'], api: ['read:webhook:bitbucket'] };
  const writing = { classic: ['webhook'], api: ['read:webhook:bitbucket', 'write:webhook:bitbucket'] };
  const deleting = { classic: ['webhook'], api: ['delete:webhook:bitbucket'] };
  const levels: [string, FindPlace][] = [
    ['/2.0/repositories/{workspace}/{repo_slug}/hooks', findRepositoryPlace],
    ['/2.0/workspaces/{workspace}/hooks', findWorkspacePlace],
  ];
  return levels.flatMap(([path, find]): Route[] => [
    { method: 'GET', template: path, handle: api(reading, (call) => list(call, find(call))) },
    { method: 'POST', template: path, handle: api(writing, (call) => create(call, find(call))) },
    { method: 'GET', template: `${path}/{uid}`, handle: api(reading, (call) => read(call, find(call))) },
    { method: 'PUT', template: `${path}/{uid}`, handle: api(writing, (call) => edit(call, find(call))) },
    {
      method: 'DELETE',
      template: `${path}/{uid}`,
      handle: api(deleting, (call) => remove(call, find(call))),
    },
  ]);
}

function findRepositoryPlace(call: Call): HookPlace {
  requireActor(call);
  return { level: 'repository', repository: requireAdminOfRepository(call) };
}

function findWorkspacePlace(call: Call): HookPlace {
  requireActor(call);
  const workspace = requireWorkspaceOfCall(call);
  if (workspaceRoleOf(call.actor, workspace) !== 'owner') {
    throw refuseForbidden('You must be an administrator of this workspace.');
  }
  return { level: 'workspace', workspace };
}

function hooksAt({ state }: Call, place: HookPlace): readonly BitbucketHook[] {
  return state.hooks.get(keyOf(place)) ?? [];
}

function list(call: Call, place: HookPlace): PlainAnswer {
  return answerPage(call, hooksAt(call, place), (hook) => toHookJson(call, hook));
}

function read(call: Call, place: HookPlace): PlainAnswer {
  return answerObject(call, toHookJson(call, requireHook(call, place)));
}

function create(call: Call, place: HookPlace): PlainAnswer {
  const sent = readHook(call, place.level);
  requireScopes(call, needOfEvents(sent.events));
  const others = hooksAt(call, place);
  if (others.length >= call.settings.maxHooks) {
    throw refuse(400, `You cannot have more than ${call.settings.maxHooks} webhooks.`);
  }
  const hook: BitbucketHook = {
    uuid: call.state.makeUuid('hook', call.state.nextId()),
    place,
    ...withoutSecret(sent),
    secret: sent.secret ?? null,
    createdAt: new Date(call.now()),
  };
  call.state.hooks.set(keyOf(place), [...others, hook]);
  const answer = answerObject(call, toHookJson(call, hook), 201);
  return { ...answer, headers: { location: addressOf(call, hook) } };
}

function edit(call: Call, place: HookPlace): PlainAnswer {
  const hook = requireHook(call, place);
  const sent = readHook(call, place.level);
  requireScopes(call, needOfEvents(sent.events));
  Object.assign(hook, withoutSecret(sent));
  if (sent.secret !== undefined) hook.secret = sent.secret;
  return answerObject(call, toHookJson(call, hook));
}

function withoutSecret({ url, description, active, events, skipsCertificate, keepsHistory }: SentHook) {
  return { url, description, active, events, skipsCertificate, keepsHistory };
}

function remove(call: Call, place: HookPlace): PlainAnswer {
  const hook = requireHook(call, place);
  const others = hooksAt(call, place).filter((other) => other !== hook);
  call.state.hooks.set(keyOf(place), others);
  return { status: 204 };
}

function requireHook(call: Call, place: HookPlace): BitbucketHook {
  const uid = call.request.params['uid'] ?? '';
  const hook = hooksAt(call, place).find(({ uuid }) => uuid === uid);
  if (!hook) throw refuse(404, `Webhook ${uid} not found`);
  return hook;
}

function addressOf({ apiUrl }: BitbucketContext, { place, uuid }: BitbucketHook): string {
  const subject =
    place.level === 'repository'
      ? `repositories/${fullNameOf(place.repository)}`
      : `workspaces/${place.workspace.slug}`;
  return `${apiUrl()}/${subject}/hooks/${encodeURIComponent(uuid)}`;
}

/** A hook as the API shows it: never its secret, and its events in no order of anybody's. */
function toHookJson(context: BitbucketContext, hook: BitbucketHook) {
  const { uuid, place, url, description, active, events, secret, skipsCertificate, keepsHistory } = hook;
  return {
    type: 'webhook_subscription',
    uuid,
    url,
    description,
    subject_type: place.level,
    subject: toSubjectJson(context, place),
    active,
    created_at: hook.createdAt.toISOString(),
    events: [...events].sort().reverse(),
    secret_set: secret !== null,
    skip_cert_verification: skipsCertificate,
    history_enabled: keepsHistory,
    links: { self: { href: addressOf(context, hook) } },
  };
}

function toSubjectJson(context: BitbucketContext, place: HookPlace) {
  if (place.level === 'workspace') return toWorkspaceBaseJson(context, place.workspace);
  const { uuid, slug } = place.repository;
  return { type: 'repository', uuid, name: slug, full_name: fullNameOf(place.repository) };
}
