import { createHmac, randomUUID } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import type { RefChange } from '../git-storage.ts';
import type { DcContext } from './call.ts';
import { hooksAt, noteOutcome } from './hook-state.ts';
import type { DcHook, HookPlace, HookSettings, Invocation } from './hook-state.ts';
import { toRepositoryJson } from './repositories.ts';
import type { DcRepository, DcUser } from './state.ts';
import { toUserJson } from './users.ts';

export interface Deliveries {
  /** Every delivery, oldest first. */
  readonly records: readonly Invocation[];
  /** Sends `diagnostics:ping` and waits for the receiver; signed where there is a hook with a secret. */
  ping(hook: DcHook | null, url: string, credentials: HookSettings['credentials']): Promise<Invocation>;
  /** Tells every active hook of the repository and its project in the background. */
  announcePush(repository: DcRepository, user: DcUser, changes: readonly RefChange[]): void;
  /** Resolves when nothing is under way any more. */
  settle(): Promise<void>;
}

interface Message {
  readonly event: string;
  readonly url: string;
  readonly body: string;
  readonly secret: string | undefined;
  readonly credentials: HookSettings['credentials'];
}

const deliverTimeoutMs = 10_000;

/** Builds the sender of events (`providers/bitbucket-data-center.md` §5). */
export function createDeliveries(context: () => DcContext): Deliveries {
  const records: Invocation[] = [];
  const underWay = new Set<Promise<unknown>>();

  const send = async (hook: DcHook | null, message: Message): Promise<Invocation> => {
    const { state, settings, now } = context();
    const startedAt = now();
    const headers = toHeaders(context(), message);
    const { status, description } = await post(message, headers);
    const invocation: Invocation = {
      id: state.nextId('invocation'),
      hookId: hook?.id ?? null,
      event: message.event,
      url: message.url,
      startedAt,
      endedAt: now(),
      outcome: status === null ? 'ERROR' : status >= 200 && status < 300 ? 'SUCCESS' : 'FAILURE',
      status,
      description,
      requestHeaders: headers,
    };
    records.push(invocation);
    if (hook) noteOutcome(hook, invocation, settings, now());
    return invocation;
  };

  return {
    records,
    ping: (hook, url, credentials) =>
      send(hook, {
        event: 'diagnostics:ping',
        url,
        body: '{"test":true}',
        secret: hook?.settings.configuration['secret'],
        credentials,
      }),
    announcePush: (repository, user, changes) => {
      const event = 'repo:refs_changed';
      const body = JSON.stringify(describePush(context(), repository, user, changes));
      const places: HookPlace[] = [
        { level: 'repository', repository },
        { level: 'project', project: repository.project },
      ];
      const { state, now } = context();
      for (const hook of places.flatMap((place) => hooksAt(state, place))) {
        const { active, events, url, configuration, credentials } = hook.settings;
        if (!active || !events.includes(event) || hook.skippedUntil > now()) continue;
        const secret = configuration['secret'];
        const sending = send(hook, { event, url, body, secret, credentials }).finally(() =>
          underWay.delete(sending),
        );
        underWay.add(sending);
      }
    },
    settle: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function describePush(
  context: DcContext,
  repository: DcRepository,
  user: DcUser,
  changes: readonly RefChange[],
) {
  const now = new Date(context.now());
  const isNone = (hash: string) => /^0+$/.test(hash);
  const last = changes.at(-1);
  return {
    eventKey: 'repo:refs_changed',
    date: now.toISOString().replace(/\.\d+Z$/, '+0000'),
    actor: toUserJson(context, user),
    repository: toRepositoryJson({ ...context, actor: null }, repository),
    changes: changes.map(({ ref, before, after }) => ({
      ref: {
        id: ref,
        displayId: ref.replace(/^refs\/(heads|tags)\//, ''),
        type: ref.startsWith('refs/tags/') ? 'TAG' : 'BRANCH',
      },
      refId: ref,
      fromHash: before,
      toHash: after,
      type: isNone(before) ? 'ADD' : isNone(after) ? 'DELETE' : 'UPDATE',
    })),
    ...(last && !isNone(last.after)
      ? {
          toCommit: {
            id: last.after,
            displayId: last.after.slice(0, 11),
            committerTimestamp: context.behaviour.hasIsoTimes ? now.toISOString() : now.getTime(),
          },
        }
      : {}),
  };
}

function toHeaders({ behaviour }: DcContext, { event, body, secret, credentials }: Message) {
  const signature = secret === undefined ? null : createHmac('sha256', secret).update(body).digest('hex');
  const pair = credentials && `${credentials.username}:${credentials.password}`;
  return {
    'Content-Type': 'application/json; charset=utf-8',
    'User-Agent': `Atlassian HttpClient 4.2.0 / Bitbucket-${behaviour.version} / Default`,
    'X-Event-Key': event,
    'X-Request-Id': randomUUID(),
    ...(signature === null ? {} : { 'X-Hub-Signature': `sha256=${signature}` }),
    ...(pair === null ? {} : { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` }),
  };
}

interface Outcome {
  /** Null where the receiver was not reached. */
  readonly status: number | null;
  readonly description: string;
}

/** The simulator never leaves the machine: what is not loopback is not reached. */
function post({ url, body }: Message, headers: Readonly<Record<string, string>>): Promise<Outcome> {
  const target = new URL(url);
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(target.hostname);
  if (!isLoopback || target.protocol !== 'http:') {
    return Promise.resolve({ status: null, description: `${target.host}: Name or service not known` });
  }
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ status: null, description: error.message });
    const request = requestHttp(target, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      timeout: deliverTimeoutMs,
    });
    request.on('timeout', () => request.destroy(new Error('Read timed out')));
    request.on('error', fail);
    request.on('response', (response) => {
      response.resume();
      response.on('error', fail);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, description: String(response.statusCode) }),
      );
    });
    request.end(body);
  });
}
