import type { PlainAnswer, Route } from '../routes.ts';
import { requireOpenSettings, requireProject, requireRepository, requireWritable } from './access.ts';
import { isRecord, isTexts, readBody, type Fields } from './body.ts';
import { answerAbsent, refuse, refuseField, refuseNotFound, type Call, type DcContext } from './call.ts';
import { addHook, hookEvents, hooksAt, mask, removeHook, toHookJson } from './hook-state.ts';
import type { DcHook, HookPlace, HookSettings } from './hook-state.ts';
import { answerPage } from './paging.ts';
import type { Api } from './server.ts';
import { levels } from './state.ts';

type FindPlace = (call: Call) => HookPlace;

/** Where hooks hang, with who finds the place; undefined where this version has no hooks there. */
export function hookLevels({ behaviour }: DcContext): readonly (readonly [string, FindPlace | undefined])[] {
  const project = '/rest/api/{api}/projects/{projectKey}';
  return [
    [`${project}/repos/{repositorySlug}/webhooks`, findRepositoryPlace],
    [`${project}/webhooks`, behaviour.hasProjectHooks ? findProjectPlace : undefined],
  ];
}

function findRepositoryPlace(call: Call): HookPlace {
  const repository = requireRepository(call, levels.admin);
  if (call.request.method !== 'GET') {
    requireWritable(call);
    requireOpenSettings(call, repository);
  }
  return { level: 'repository', repository };
}

function findProjectPlace(call: Call): HookPlace {
  const project = requireProject(call, levels.admin);
  if (call.request.method !== 'GET') requireWritable(call);
  return { level: 'project', project };
}

/** Webhooks (`providers/bitbucket-data-center.md` §5). */
export function listHookRoutes(context: DcContext, api: Api): Route[] {
  return hookLevels(context).flatMap(([path, findPlace]): Route[] => {
    const route = (
      method: string,
      template: string,
      handle: (call: Call, place: HookPlace) => PlainAnswer | Promise<PlainAnswer>,
    ): Route => ({
      method,
      template: path + template,
      handle: findPlace ? api((call) => handle(call, findPlace(call))) : answerAbsent,
    });
    return [
      route('GET', '', list),
      route('POST', '', create),
      // Before the hook's own route, whose name it would match.
      ...(path.includes('/repos/') ? [route('GET', '/search', search)] : []),
      route('GET', '/{webhookId}', read),
      route('PUT', '/{webhookId}', update),
      route('DELETE', '/{webhookId}', remove),
    ];
  });
}

/** @throws Refusal 404 */
export function requireHook(call: Call, place: HookPlace): DcHook {
  const { webhookId = '' } = call.request.params;
  const hook = hooksAt(call.state, place).find(({ id }) => String(id) === webhookId);
  if (!hook) throw refuseNotFound(`Webhook ${webhookId}`);
  return hook;
}

function list(call: Call, place: HookPlace): PlainAnswer {
  return answerHooks(call, hooksAt(call.state, place));
}

/** Also the hooks that the repository has from its project, where they are asked for. */
function search(call: Call, place: HookPlace): PlainAnswer {
  const scopes = call.request.query.getAll('scopeType');
  const unknown = scopes.find((scope) => !['repository', 'project'].includes(scope));
  if (unknown !== undefined) throw refuseField('scopeType', `${unknown} is no scope.`);
  const asks = (scope: string) => scopes.length === 0 || scopes.includes(scope);
  const inherited: HookPlace[] =
    place.level === 'repository' && call.behaviour.hasProjectHooks
      ? [{ level: 'project', project: place.repository.project }]
      : [];
  const places = [place, ...inherited].filter(({ level }) => asks(level));
  return answerHooks(
    call,
    places.flatMap((at) => hooksAt(call.state, at)),
  );
}

function answerHooks(call: Call, hooks: readonly DcHook[]): PlainAnswer {
  const events = call.request.query.getAll('event');
  const found = hooks.filter(
    ({ settings }) => events.length === 0 || events.some((event) => settings.events.includes(event)),
  );
  return answerPage(call, found, (hook) => toHookJson(call.settings, hook));
}

function read(call: Call, place: HookPlace): PlainAnswer {
  return { status: 200, json: toHookJson(call.settings, requireHook(call, place)) };
}

function create(call: Call, place: HookPlace): PlainAnswer {
  const now = call.now();
  const hook: DcHook = {
    id: call.state.nextId('hook'),
    place,
    settings: readSettings(call, place, null),
    createdAt: now,
    updatedAt: now,
    invocations: [],
    failures: 0,
    pauses: 0,
    skippedUntil: 0,
  };
  addHook(call.state, hook);
  return { status: call.settings.hookCreationStatus, json: toHookJson(call.settings, hook) };
}

function update(call: Call, place: HookPlace): PlainAnswer {
  const hook = requireHook(call, place);
  hook.settings = readSettings(call, place, hook.settings);
  hook.updatedAt = call.now();
  return { status: 200, json: toHookJson(call.settings, hook) };
}

function remove(call: Call, place: HookPlace): PlainAnswer {
  removeHook(call.state, requireHook(call, place));
  return { status: 204 };
}

/**
 * Everything that a body says; what it leaves out is gone. Only the password, which nobody can send back, stays
 * with a user name that stays.
 */
function readSettings(call: Call, { level }: HookPlace, old: HookSettings | null): HookSettings {
  const fields = readBody(call);
  const { name, url, events, active = true, sslVerificationRequired = true } = fields;
  if (typeof name !== 'string' || name === '' || name.length > 255) {
    throw refuseField('name', 'The name should be between 1 and 255 characters.');
  }
  if (typeof url !== 'string' || !/^https?:\/\/[^\s/]/.test(url) || !URL.canParse(url)) {
    throw refuseField('url', 'The URL is not valid.');
  }
  if (!isTexts(events) || events.length === 0) {
    throw refuseField('events', 'At least one event must be chosen.');
  }
  const unknown = events.find((event) => !hookEvents[level].includes(event));
  if (unknown !== undefined) throw refuseField('events', `Unknown event: ${unknown}`);
  if (typeof active !== 'boolean') throw refuseField('active', 'active is true or false.');
  if (typeof sslVerificationRequired !== 'boolean') {
    throw refuseField('sslVerificationRequired', 'sslVerificationRequired is true or false.');
  }
  const scope = fields['scopeType'];
  if (scope !== undefined && scope !== level) throw refuseField('scopeType', `The scope is ${level}.`);
  return {
    name,
    url,
    events,
    active,
    sslVerificationRequired,
    configuration: readConfiguration(call, fields),
    credentials: readCredentials(fields, old),
  };
}

function readConfiguration(call: Call, { configuration = {} }: Fields): HookSettings['configuration'] {
  if (!isRecord(configuration) || !isTexts(Object.values(configuration))) {
    throw refuseField('configuration', 'The configuration holds texts.');
  }
  const { secret } = configuration;
  if (secret === '') throw refuse(500, 'An error occurred while processing the request.');
  if (secret === mask) call.request.recordFailure('the asterisks of a masked secret were sent as a secret');
  return configuration as HookSettings['configuration'];
}

function readCredentials({ credentials }: Fields, old: HookSettings | null): HookSettings['credentials'] {
  if (credentials === undefined || credentials === null) return null;
  if (!isRecord(credentials) || typeof credentials['username'] !== 'string') {
    throw refuseField('credentials', 'The credentials need a user name.');
  }
  const { username, password } = credentials;
  if (typeof password === 'string') return { username, password };
  return { username, password: old?.credentials?.username === username ? old.credentials.password : '' };
}
