import type { PlainAnswer, Route } from '../routes.ts';
import { isRecord } from './body.ts';
import { answerAbsent, refuseField, type Call, type DcContext } from './call.ts';
import { hooksAt, type DcHook, type HookPlace, type Invocation } from './hook-state.ts';
import { hookLevels, requireHook } from './hooks.ts';
import type { Api } from './server.ts';

/** Tests of hooks and what became of deliveries (`providers/bitbucket-data-center.md` §5). */
export function listHookCallRoutes(context: DcContext, api: Api): Route[] {
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
      route('POST', '/test', test),
      route('GET', '/{webhookId}/latest', showLatest),
      route('GET', '/{webhookId}/statistics', showStatistics),
      route('GET', '/{webhookId}/statistics/summary', showSummary),
    ];
  });
}

/** Pings an address, with the secret of the hook where one is named, and shows what came of it. */
async function test(call: Call, place: HookPlace): Promise<PlainAnswer> {
  const { query, body } = call.request;
  const url = query.get('url') ?? '';
  if (!/^https?:\/\/[^\s/]/.test(url)) throw refuseField('url', 'The URL is not valid.');
  const id = query.get('webhookId');
  const hook = id === null ? undefined : hooksAt(call.state, place).find((other) => String(other.id) === id);
  if (id !== null && !hook) throw refuseField('webhookId', `There is no webhook ${id} here.`);
  const credentials = readCredentials(body) ?? hook?.settings.credentials ?? null;
  const invocation = await call.deliveries.ping(hook ?? null, url, credentials);
  const { requestHeaders, status, description } = invocation;
  return {
    status: 200,
    json: {
      request: { method: 'POST', url, headers: requestHeaders, body: '{"test":true}' },
      ...(status === null ? { errorMessage: description } : { response: { statusCode: status } }),
    },
  };
}

function readCredentials(body: unknown): { readonly username: string; readonly password: string } | null {
  if (!isRecord(body)) return null;
  const { username, password } = body;
  return typeof username === 'string' && typeof password === 'string' ? { username, password } : null;
}

function showLatest(call: Call, place: HookPlace): PlainAnswer {
  const { query } = call.request;
  const outcomes = query.getAll('outcome');
  const unknown = outcomes.find((outcome) => !['SUCCESS', 'FAILURE', 'ERROR'].includes(outcome));
  if (unknown !== undefined) throw refuseField('outcome', `${unknown} is no outcome.`);
  const event = query.get('event');
  const found = requireHook(call, place).invocations.find(
    (invocation) =>
      (event === null || invocation.event === event) &&
      (outcomes.length === 0 || outcomes.includes(invocation.outcome)),
  );
  return found ? { status: 200, json: toInvocationJson(place, found) } : { status: 204 };
}

function toInvocationJson(place: HookPlace, invocation: Invocation) {
  const { level } = place;
  const id = level === 'project' ? place.project.id : place.repository.id;
  return {
    id: invocation.id,
    event: invocation.event,
    eventScope: { id: String(id), type: level },
    start: invocation.startedAt,
    finish: invocation.endedAt,
    duration: invocation.endedAt - invocation.startedAt,
    request: { method: 'POST', url: invocation.url },
    result: {
      outcome: invocation.outcome,
      description: invocation.description,
      ...(invocation.status === null ? {} : { statusCode: invocation.status }),
    },
  };
}

function showStatistics(call: Call, place: HookPlace): PlainAnswer {
  const event = call.request.query.get('event');
  return { status: 200, json: count(place, requireHook(call, place), event) };
}

function showSummary(call: Call, place: HookPlace): PlainAnswer {
  const hook = requireHook(call, place);
  const events = [...new Set(hook.invocations.map((invocation) => invocation.event))];
  if (events.length === 0) return { status: 204 };
  return {
    status: 200,
    json: Object.fromEntries(events.map((event) => [event, count(place, hook, event)])),
  };
}

function count(place: HookPlace, hook: DcHook, event: string | null) {
  const found = hook.invocations.filter((invocation) => event === null || invocation.event === event);
  const of = (outcome: Invocation['outcome']) => found.filter((invocation) => invocation.outcome === outcome);
  const last = (outcome: Invocation['outcome']) => {
    const [newest] = of(outcome);
    return newest ? toInvocationJson(place, newest) : null;
  };
  return {
    lastSuccess: last('SUCCESS'),
    lastFailure: last('FAILURE'),
    lastError: last('ERROR'),
    counts: {
      successes: of('SUCCESS').length,
      failures: of('FAILURE').length,
      errors: of('ERROR').length,
      window: { start: hook.createdAt, duration: 86_400_000 },
    },
  };
}
