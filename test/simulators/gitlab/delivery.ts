import { createHmac, randomUUID } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import type { RefChange } from '../git-storage.ts';
import { fullPathOf, isGroup, listAncestors } from './state.ts';
import type { GitlabProject, GitlabUser } from './state.ts';
import type { GitlabContext } from './call.ts';
import { alertStatusOf, hooksAt, interpolateUrl, noteOutcome } from './hook-state.ts';
import type { GitlabHook, HookDelivery, HookPlace } from './hook-state.ts';
import { toSimpleJson } from './projects.ts';

interface HookEvent {
  /** What hooks listen to, as `push_events`. */
  readonly trigger: string;
  /** The receiver's name for it, as `Push Hook`. */
  readonly header: string;
  /** The branch that it is about, for filters; null for none. */
  readonly branch: string | null;
  readonly payload: unknown;
}

/** What the receiver said; `status` is null where it was not reached. */
interface Outcome {
  readonly status: number | null;
  readonly body: string;
}

export interface Deliveries {
  /** Every delivery of every hook, oldest first. */
  readonly records: readonly HookDelivery[];
  /** Sends to one hook, enabled or not, and waits for the receiver: a test, or one more try of a delivery. */
  send(hook: GitlabHook, event: HookEvent, idempotencyKey?: string): Promise<Outcome>;
  /** Sends in the background to every enabled hook that listens: the project's, and those of the groups above. */
  announce(project: GitlabProject, event: HookEvent): void;
  describePush(project: GitlabProject, user: GitlabUser, change: RefChange): HookEvent;
  /** Resolves when nothing is under way any more. */
  settle(): Promise<void>;
}

const deliverTimeoutMs = 10_000;
const secretHeaders = ['X-Gitlab-Token', 'webhook-signature'];

/** Builds the sender of events (`providers/gitlab.md` §5.4). */
export function createDeliveries(context: () => GitlabContext): Deliveries {
  const records: HookDelivery[] = [];
  const underWay = new Set<Promise<unknown>>();

  const send = async (hook: GitlabHook, event: HookEvent, key: string = randomUUID()): Promise<Outcome> => {
    const { behaviour, state, now } = context();
    const body = JSON.stringify(event.payload);
    const headers = toHeaders(context(), hook, event, key, body);
    const startedAt = performance.now();
    const outcome = await post(hook, body, headers, context());
    noteOutcome(hook, outcome.status, behaviour, now());
    const delivery: HookDelivery = {
      id: state.nextId('event'),
      url: hook.url,
      trigger: event.trigger.replace(/_events$/, '_hooks'),
      requestHeaders: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [
          name,
          secretHeaders.includes(name) || name in hook.customHeaders ? '[REDACTED]' : value,
        ]),
      ),
      requestData: event.payload,
      durationS: (performance.now() - startedAt) / 1000,
      responseStatus: outcome.status === null ? 'internal error' : String(outcome.status),
      responseBody: outcome.body,
      idempotencyKey: key,
      createdAt: new Date(now()),
    };
    hook.deliveries.unshift(delivery);
    records.push(delivery);
    return outcome;
  };

  return {
    records,
    send,
    announce: (project, event) => {
      const { state, now } = context();
      for (const hook of placesOf(project).flatMap((place) => hooksAt(state, place))) {
        if (!hook.events.has(event.trigger) || !matchesBranch(hook, event)) continue;
        if (alertStatusOf(hook, now()) !== 'executable') continue;
        const sending = send(hook, event).finally(() => underWay.delete(sending));
        underWay.add(sending);
      }
    },
    describePush: (project, user, change) => describePush(context(), project, user, change),
    settle: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function placesOf(project: GitlabProject): readonly HookPlace[] {
  const groups = isGroup(project.owner) ? listAncestors(project.owner) : [];
  return [{ level: 'project', project }, ...groups.map((group): HookPlace => ({ level: 'group', group }))];
}

/** Filters name branches: what is no branch passes. */
function matchesBranch(hook: GitlabHook, { branch }: HookEvent): boolean {
  const filter = hook.pushEventsBranchFilter;
  if (branch === null || filter === null || hook.branchFilterStrategy === 'all_branches') return true;
  if (hook.branchFilterStrategy === 'regex') return new RegExp(filter).test(branch);
  return new RegExp(`^${filter.replace(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '.*')}$`).test(branch);
}

function describePush(
  context: GitlabContext,
  project: GitlabProject,
  user: GitlabUser,
  { ref, before, after }: RefChange,
): HookEvent {
  const isTag = ref.startsWith('refs/tags/');
  const kind = isTag ? 'tag_push' : 'push';
  const payload = {
    object_kind: kind,
    event_name: kind,
    before,
    after,
    ref,
    ref_protected: false,
    checkout_sha: /^0+$/.test(after) ? null : after,
    message: null,
    user_id: user.id,
    user_name: user.name,
    user_username: user.username,
    user_email: '',
    project_id: project.id,
    project: {
      ...toSimpleJson(context, project),
      namespace: project.owner.name,
      git_http_url: `${context.baseUrl()}/${fullPathOf(project)}.git`,
    },
    commits: [],
    total_commits_count: 0,
  };
  return {
    trigger: `${kind}_events`,
    header: isTag ? 'Tag Push Hook' : 'Push Hook',
    branch: isTag ? null : ref.replace(/^refs\/heads\//, ''),
    payload,
  };
}

/** With both secrets set, both are sent; signed as Standard Webhooks say. */
function toHeaders(
  { baseUrl, behaviour, now }: GitlabContext,
  hook: GitlabHook,
  event: HookEvent,
  key: string,
  body: string,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(now() / 1000));
  const signed = hook.signingToken === null ? null : `${key}.${timestamp}.${body}`;
  const signingKey = Buffer.from((hook.signingToken ?? '').replace(/^whsec_/, ''), 'base64');
  return {
    'Content-Type': 'application/json',
    'User-Agent': `GitLab/${behaviour.version}`,
    'Idempotency-Key': key,
    'X-Gitlab-Event': event.header,
    'X-Gitlab-Webhook-UUID': randomUUID(),
    'X-Gitlab-Instance': baseUrl(),
    'X-Gitlab-Event-UUID': randomUUID(),
    ...(hook.token === null ? {} : { 'X-Gitlab-Token': hook.token }),
    ...(signed === null
      ? {}
      : {
          'webhook-id': key,
          'webhook-timestamp': timestamp,
          'webhook-signature': `v1,${createHmac('sha256', signingKey).update(signed).digest('base64')}`,
        }),
    ...hook.customHeaders,
  };
}

/** The simulator never leaves the machine: what is not loopback is not reached. */
async function post(
  hook: GitlabHook,
  body: string,
  headers: Readonly<Record<string, string>>,
  { settings }: GitlabContext,
): Promise<Outcome> {
  const target = new URL(interpolateUrl(hook.url, hook.urlVariables) ?? 'http://missing.invalid');
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(target.hostname);
  if (!isLoopback || !settings.allowsLocalWebhooks || target.protocol !== 'http:') {
    return { status: null, body: `Failed to open TCP connection to ${target.host}` };
  }
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ status: null, body: error.message });
    const request = requestHttp(target, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      timeout: deliverTimeoutMs,
    });
    request.on('timeout', () => request.destroy(new Error('execution expired')));
    request.on('error', fail);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
    });
    request.end(body);
  });
}
