import { createHmac, randomUUID } from 'node:crypto';
import type { RefChange } from '../git-storage.ts';
import { postDelivery } from '../post-delivery.ts';
import type { BitbucketContext } from './call.ts';
import { keyOf, type BitbucketHook, type HookPlace } from './hook-state.ts';
import { toRepositoryJson } from './repositories.ts';
import type { BitbucketRepository } from './state.ts';

/** One try to deliver. */
export interface DeliveryRecord {
  readonly hookUuid: string;
  readonly event: string;
  readonly url: string;
  readonly attempt: number;
  /** What the receiver answered; null where it was not reached. */
  readonly status: number | null;
}

export interface Deliveries {
  readonly records: readonly DeliveryRecord[];
  /** Tells every active hook that listens to pushes: the repository's, and its workspace's. */
  announcePush(repository: BitbucketRepository, actor: object, changes: readonly RefChange[]): void;
  /** Resolves when nothing is under way any more. */
  settle(): Promise<void>;
}

const deliverTimeoutMs = 10_000;
/** The first and two more after errors of the receiver. */
const maxAttempts = 3;

/** Builds the sender of events (`providers/bitbucket.md` §5 "Delivery"). */
export function createDeliveries(context: () => BitbucketContext): Deliveries {
  const records: DeliveryRecord[] = [];
  const underWay = new Set<Promise<void>>();

  async function deliver(hook: BitbucketHook, event: string, payload: object): Promise<void> {
    const body = JSON.stringify(payload);
    const requestUuid = randomUUID();
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
      const headers = toHeaders(hook, event, body, requestUuid, attempt);
      const { allowsLoopback } = context().settings;
      const limits = { allowsLoopback, timeoutMs: deliverTimeoutMs };
      const status = await postDelivery(hook.url, body, headers, limits);
      records.push({ hookUuid: hook.uuid, event, url: hook.url, attempt, status });
      if (status === null || status < 500) return;
    }
  }

  return {
    records,
    announcePush: (repository, actor, changes) => {
      const payload = {
        push: { changes: changes.map(toChange) },
        actor,
        repository: toRepositoryJson(context(), repository, null),
      };
      const places: readonly HookPlace[] = [
        { level: 'repository', repository },
        { level: 'workspace', workspace: repository.workspace },
      ];
      for (const hook of places.flatMap((place) => context().state.hooks.get(keyOf(place)) ?? [])) {
        if (!hook.active || !hook.events.includes('repo:push')) continue;
        const sending = deliver(hook, 'repo:push', payload).finally(() => underWay.delete(sending));
        underWay.add(sending);
      }
    },
    settle: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

/** Despite its name the header holds SHA-256, and only where there is a secret. */
function toHeaders(
  { uuid, secret }: BitbucketHook,
  event: string,
  body: string,
  requestUuid: string,
  attempt: number,
): Readonly<Record<string, string>> {
  const signature = secret === null ? undefined : createHmac('sha256', secret).update(body).digest('hex');
  return {
    'Content-Type': 'application/json',
    'User-Agent': 'Bitbucket-Webhooks/2.0',
    'X-Event-Key': event,
    'X-Attempt-Number': String(attempt),
    'X-Hook-UUID': uuid.slice(1, -1),
    'X-Request-UUID': requestUuid,
    ...(signature === undefined ? {} : { 'X-Hub-Signature': `sha256=${signature}` }),
  };
}

function toChange({ ref, before, after }: RefChange) {
  const [, kind, name] = /^refs\/(heads|tags)\/(.+)$/.exec(ref) ?? [];
  const toEnd = (hash: string) =>
    /^0+$/.test(hash)
      ? null
      : { type: kind === 'tags' ? 'tag' : 'branch', name, target: { type: 'commit', hash } };
  const [older, newer] = [toEnd(before), toEnd(after)];
  return {
    old: older,
    new: newer,
    created: older === null,
    closed: newer === null,
    forced: false,
    truncated: false,
    commits: [],
  };
}
