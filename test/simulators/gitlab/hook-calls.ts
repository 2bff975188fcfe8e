import { createHash } from 'node:crypto';
import type { PlainAnswer, Route } from '../routes.ts';
import { Refusal, answerAbsent, refuse, refuseNotFound, type Call, type GitlabContext } from './call.ts';
import {
  groupEvents,
  placeIdOf,
  projectEvents,
  type GitlabHook,
  type HookDelivery,
  type HookPlace,
} from './hook-state.ts';
import { hookLevels, needOf, requireHook } from './hooks.ts';
import { refuseTooMany, type Limits } from './limits.ts';
import { answerPage } from './paging.ts';
import { pagingParameters, readBody, readQuery } from './parameters.ts';
import type { Api } from './server.ts';
import { isGroup, listAncestors, type GitlabProject } from './state.ts';

/** Everything about one hook but itself: tests, deliveries, headers, variables (`providers/gitlab.md` §5.6). */
export function listHookCallRoutes(context: GitlabContext, limits: Limits, api: Api): Route[] {
  const { behaviour } = context;
  return hookLevels(context).flatMap(([path, findPlace]): Route[] => {
    const route = (
      has: boolean,
      method: string,
      template: string,
      permission: string,
      handle: (call: Call, place: HookPlace) => PlainAnswer | Promise<PlainAnswer>,
    ): Route => ({
      method,
      template: `${path}/{hook_id}${template}`,
      handle:
        has && findPlace
          ? api(needOf(method, permission), (call) => handle(call, findPlace(call)))
          : answerAbsent,
    });
    const { hasHookTest, hasHookEvents, hasHookNames } = behaviour;
    const testHook = (call: Call, place: HookPlace) => test(call, place, limits);
    return [
      route(hasHookTest, 'POST', '/test/{trigger}', 'test_webhook', testHook),
      route(hasHookEvents, 'GET', '/events', 'read_webhook_event', listEvents),
      route(hasHookEvents, 'POST', '/events/{event_id}/resend', 'resend_webhook_event', (call, place) =>
        resend(call, place, limits),
      ),
      route(hasHookNames, 'PUT', '/custom_headers/{key}', 'update_webhook_custom_header', setHeader),
      route(hasHookNames, 'DELETE', '/custom_headers/{key}', 'delete_webhook_custom_header', dropHeader),
      route(true, 'PUT', '/url_variables/{key}', 'update_webhook', setVariable),
      route(true, 'DELETE', '/url_variables/{key}', 'update_webhook', dropVariable),
    ];
  });
}

/** What a project must have for the sample of each event; these projects have commits at most. */
const missingSamples: Readonly<Record<string, string>> = {
  issues_events: 'issues',
  confidential_issues_events: 'issues',
  note_events: 'notes',
  confidential_note_events: 'notes',
  merge_requests_events: 'merge requests',
  job_events: 'CI jobs',
  pipeline_events: 'CI pipelines',
  deployment_events: 'deployments',
  releases_events: 'releases',
};

/** Waits for the receiver, and says yes only if that does. */
async function test(call: Call, place: HookPlace, limits: Limits): Promise<PlainAnswer> {
  readBody(call, {});
  const hook = requireHook(call, place);
  const trigger = call.request.params['trigger'] ?? '';
  if (!(place.level === 'project' ? projectEvents : groupEvents).includes(trigger)) {
    throw new Refusal({ status: 400, json: { error: 'trigger does not have a valid value' } });
  }
  const { behaviour, settings, actor } = call;
  const throttle = { requests: settings.maxHookTests, windowMs: 60_000 };
  const key = `test ${place.level} ${placeIdOf(place)} ${actor.user.id}`;
  if (behaviour.limitsHookTests && !limits.take(key, throttle)) throw new Refusal(refuseTooMany());
  const project = findSample(call, place);
  if (!project || project.empty) throw refuse(422, 'Ensure the project has at least one commit.');
  const sample = missingSamples[trigger];
  if (sample !== undefined) throw refuse(422, `Ensure the project has ${sample}.`);
  const commit = createHash('sha1').update(String(project.id)).digest('hex');
  const ref = trigger === 'tag_push_events' ? 'refs/tags/v1.0.0' : 'refs/heads/main';
  const event = call.deliveries.describePush(project, actor.user, { ref, before: commit, after: commit });
  const { status, body } = await call.deliveries.send(hook, { ...event, trigger });
  if (status !== null && status >= 200 && status < 300) {
    return { status: 201, json: { message: '201 Created' } };
  }
  throw refuse(422, body);
}

/** A group's hook is tested with a project of its tree. */
function findSample(call: Call, place: HookPlace): GitlabProject | undefined {
  if (place.level === 'project') return place.project;
  return call.state
    .listProjects()
    .find(({ owner, empty }) => !empty && isGroup(owner) && listAncestors(owner).includes(place.group));
}

function listEvents(call: Call, place: HookPlace): PlainAnswer {
  const values = readQuery(call, { ...pagingParameters, status: 'string' });
  if (Number(values['per_page'] ?? 20) > 20) {
    call.request.recordFailure('deliveries come 20 at a time at most');
    throw new Refusal({ status: 400, json: { error: 'per_page does not have a valid value' } });
  }
  const wanted = typeof values['status'] === 'string' ? values['status'].split(',') : null;
  const found = requireHook(call, place).deliveries.filter(
    ({ responseStatus }) => !wanted || wanted.some((status) => isOfStatus(responseStatus, status)),
  );
  return answerPage(call, values, found, { toJson: toDeliveryJson });
}

function isOfStatus(status: string, wanted: string): boolean {
  const classes: Readonly<Record<string, RegExp>> = {
    successful: /^2/,
    client_failure: /^4/,
    server_failure: /^(5|internal)/,
  };
  return classes[wanted]?.test(status) ?? status === wanted;
}

function toDeliveryJson(delivery: HookDelivery) {
  return {
    id: delivery.id,
    url: delivery.url,
    trigger: delivery.trigger,
    request_headers: delivery.requestHeaders,
    request_data: delivery.requestData,
    response_headers: {},
    response_body: delivery.responseBody,
    execution_duration: delivery.durationS,
    response_status: delivery.responseStatus,
  };
}

async function resend(call: Call, place: HookPlace, limits: Limits): Promise<PlainAnswer> {
  readBody(call, {});
  const hook = requireHook(call, place);
  const id = Number(call.request.params['event_id']);
  const delivery = hook.deliveries.find((candidate) => candidate.id === id);
  if (!delivery) throw refuseNotFound();
  const throttle = { requests: call.settings.maxHookTests, windowMs: 60_000 };
  if (!limits.take(`resend ${hook.id} ${call.actor.user.id}`, throttle)) throw new Refusal(refuseTooMany());
  const event = {
    trigger: delivery.trigger.replace(/_hooks$/, '_events'),
    header: delivery.requestHeaders['X-Gitlab-Event'] ?? '',
    branch: null,
    payload: delivery.requestData,
  };
  const { status, body } = await call.deliveries.send(hook, event, delivery.idempotencyKey);
  if (status === null) throw refuse(422, body);
  return { status: 201, json: { response_status: status } };
}

type Pairs = Readonly<Record<string, string>>;

function setHeader(call: Call, place: HookPlace): PlainAnswer {
  return change(call, place, (hook, key, value) => {
    hook.customHeaders = withPair(hook.customHeaders, key, value);
  });
}

function dropHeader(call: Call, place: HookPlace): PlainAnswer {
  return change(call, place, (hook, key) => {
    hook.customHeaders = withoutKey(hook.customHeaders, key);
  });
}

function setVariable(call: Call, place: HookPlace): PlainAnswer {
  return change(call, place, (hook, key, value) => {
    hook.urlVariables = withPair(hook.urlVariables, key, value);
  });
}

function dropVariable(call: Call, place: HookPlace): PlainAnswer {
  return change(call, place, (hook, key) => {
    hook.urlVariables = withoutKey(hook.urlVariables, key);
  });
}

function change(
  call: Call,
  place: HookPlace,
  apply: (hook: GitlabHook, key: string, value: string) => void,
): PlainAnswer {
  const isRemoval = call.request.method === 'DELETE';
  const values = readBody(call, isRemoval ? {} : { value: 'string!' });
  apply(
    requireHook(call, place),
    call.request.params['key'] ?? '',
    typeof values['value'] === 'string' ? values['value'] : '',
  );
  return { status: 204 };
}

function withPair(pairs: Pairs, key: string, value: string): Pairs {
  return { ...pairs, [key]: value };
}

function withoutKey(pairs: Pairs, key: string): Pairs {
  if (!(key in pairs)) throw refuseNotFound();
  return Object.fromEntries(Object.entries(pairs).filter(([name]) => name !== key));
}
