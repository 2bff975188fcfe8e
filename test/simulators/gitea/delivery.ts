import { createHash, createHmac, randomUUID } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import type { RefChange } from '../git-storage.ts';
import { accessOf } from './access.ts';
import type { GiteaContext } from './call.ts';
import { toRepositoryJson } from './repository-json.ts';
import { fullNameOf, type GiteaHook, type GiteaRepository, type GiteaUser } from './state.ts';
import { toOwnerJson } from './users.ts';

/** One delivery, as the web page of a hook would list it. */
export interface DeliveryRecord {
  readonly hookId: number;
  readonly uuid: string;
  readonly event: string;
  readonly url: string;
  /** What the receiver answered; `null` while under way and where it was not reached. */
  status: number | null;
  error: string | null;
}

interface HookEvent {
  /** The internal name. */
  readonly type: string;
  /** The ref that it is about. */
  readonly ref: string;
  readonly payload: unknown;
}

export interface Deliveries {
  readonly records: readonly DeliveryRecord[];
  /** Sends an event to one hook, in the background, as the servers do. */
  deliver(hook: GiteaHook, event: HookEvent): void;
  /** Sends an event to every active hook that listens for it: the repository's, its organization's or user's. */
  announce(repository: GiteaRepository, event: HookEvent): void;
  describeTest(repository: GiteaRepository, user: GiteaUser, ref: string): HookEvent;
  describePush(repository: GiteaRepository, user: GiteaUser, change: RefChange): HookEvent;
  /** Resolves when nothing is under way any more. */
  settle(): Promise<void>;
}

/** `[webhook] DELIVER_TIMEOUT`. */
const deliverTimeoutMs = 5000;

/** Builds the sender of events (`providers/gitea.md` §5 "Delivery"). */
export function createDeliveries(context: () => GiteaContext): Deliveries {
  const records: DeliveryRecord[] = [];
  const underWay = new Set<Promise<void>>();

  const deliver = (hook: GiteaHook, event: HookEvent): void => {
    const record: DeliveryRecord = {
      hookId: hook.id,
      uuid: randomUUID(),
      event: event.type,
      url: hook.url,
      status: null,
      error: null,
    };
    records.push(record);
    const sending = send(context(), hook, event, record).finally(() => underWay.delete(sending));
    underWay.add(sending);
  };

  return {
    records,
    deliver,
    announce: (repository, event) => {
      const { hooks } = context().state;
      const { owner } = repository;
      for (const hook of [...hooks.at('repository', repository.id), ...hooks.at(owner.kind, owner.id)]) {
        if (!hook.active || !hook.events.includes(event.type)) continue;
        if (matchesBranchFilter(hook, event)) deliver(hook, event);
      }
    },
    describeTest: (repository, user, ref) => {
      const commit = createHash('sha1').update(fullNameOf(repository)).digest('hex');
      return describePush(context(), repository, user, { ref, before: commit, after: commit });
    },
    describePush: (repository, user, change) => describePush(context(), repository, user, change),
    settle: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

/** Filters name branches only: what is no branch passes. */
function matchesBranchFilter({ branchFilter }: GiteaHook, { ref }: HookEvent): boolean {
  const branch = /^refs\/heads\/(.+)$/.exec(ref)?.[1];
  if (branch === undefined || branchFilter === '' || branchFilter === '*') return true;
  const pattern = branchFilter.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*');
  return new RegExp(`^${pattern}$`).test(branch);
}

function describePush(
  context: GiteaContext,
  repository: GiteaRepository,
  user: GiteaUser,
  { ref, before, after }: RefChange,
): HookEvent {
  const sender = toOwnerJson(context, user, false);
  const payload = {
    ref,
    before,
    after,
    compare_url: `${context.baseUrl()}/${fullNameOf(repository)}/compare/${before}...${after}`,
    commits: [],
    total_commits: 0,
    head_commit: null,
    repository: toRepositoryJson(context, repository, accessOf(null, repository)),
    pusher: sender,
    sender,
  };
  return { type: 'push', ref, payload };
}

async function send(
  context: GiteaContext,
  hook: GiteaHook,
  event: HookEvent,
  record: DeliveryRecord,
): Promise<void> {
  if (!hook.active) return;
  const target = new URL(hook.url);
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(target.hostname);
  // The simulator never leaves the machine, whatever is allowed: `loopback` is the only list that lets it send.
  if (!isLoopback || context.settings.allowedHosts !== 'loopback' || target.protocol !== 'http:') {
    record.error = `webhook can only call allowed HTTP servers (check your security.ALLOWED_HOST_LIST setting), deny '${target.host}'`;
    return;
  }
  const json = JSON.stringify(event.payload);
  const isJson = hook.contentType === 'json';
  const body = isJson ? json : new URLSearchParams({ payload: json }).toString();
  try {
    record.status = await post(target, body, {
      'content-type': isJson ? 'application/json' : 'application/x-www-form-urlencoded',
      'user-agent': 'Go-http-client/1.1',
      ...signatureHeaders(context, hook, event, record.uuid, json),
      ...(hook.authorizationHeader ? { authorization: hook.authorizationHeader } : {}),
    });
  } catch (error) {
    record.error = `Delivery: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Signatures are over the JSON text, for forms too; without a secret the headers are there but empty. */
function signatureHeaders(
  { behaviour }: GiteaContext,
  hook: GiteaHook,
  event: HookEvent,
  uuid: string,
  json: string,
): Record<string, string> {
  const sign = (algorithm: string) =>
    hook.secret === '' ? '' : createHmac(algorithm, hook.secret).update(json).digest('hex');
  const signature = sign('sha256');
  const names = ['X-Gitea', 'X-Gogs', ...(behaviour.flavour === 'forgejo' ? ['X-Forgejo'] : [])];
  const targetType = {
    'X-Gitea-Hook-Installation-Target-Type': hook.level,
    'X-GitHub-Hook-Installation-Target-Type': hook.level,
  };
  return {
    ...Object.fromEntries(
      names.flatMap((name) => [
        [`${name}-Delivery`, uuid],
        [`${name}-Event`, event.type],
        [`${name}-Event-Type`, event.type],
        [`${name}-Signature`, signature],
      ]),
    ),
    ...(behaviour.hasInstallationTargetType ? targetType : {}),
    'X-Hub-Signature': `sha1=${sign('sha1')}`,
    'X-Hub-Signature-256': `sha256=${signature}`,
    'X-GitHub-Delivery': uuid,
    'X-GitHub-Event': event.type,
    'X-GitHub-Event-Type': event.type,
  };
}

function post(target: URL, body: string, headers: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = requestHttp(target, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      timeout: deliverTimeoutMs,
    });
    request.on('timeout', () => request.destroy(new Error('context deadline exceeded')));
    request.on('error', reject);
    request.on('response', (response) => {
      response.resume();
      response.on('error', reject);
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    request.end(body);
  });
}
