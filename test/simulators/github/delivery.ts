import { createHash, createHmac, randomUUID } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import type { RefChange } from '../git-storage.ts';
import { toSimpleUser } from './account-json.ts';
import { installationsOf, reaches } from './app-state.ts';
import type { GithubContext } from './call.ts';
import { isLocalAddress } from './hook-fields.ts';
import { hooksAt, type GithubHook, type HookDelivery } from './hook-state.ts';
import { toRepositoryJson } from './repository-json.ts';
import type { GithubRepository, GithubUser } from './state.ts';

interface HookEvent {
  readonly name: string;
  readonly payload: object;
  readonly repository: GithubRepository | null;
}

export interface Deliveries {
  /** Every delivery of every hook, oldest first. */
  readonly records: readonly HookDelivery[];
  /** Sends to one hook in the background, active or not. */
  send(hook: GithubHook, event: HookEvent): void;
  ping(hook: GithubHook): void;
  /** Sends a delivery once more, under its old number. */
  repeat(hook: GithubHook, delivery: HookDelivery): void;
  /** Tells every active hook that listens: the repository's, its organization's, those of apps that reach it. */
  announce(repository: GithubRepository, event: HookEvent): void;
  describePush(repository: GithubRepository, user: GithubUser | null, change?: RefChange): HookEvent;
  /** Resolves when nothing is under way any more. */
  settle(): Promise<void>;
}

const deliverTimeoutMs = 10_000;

/** Builds the sender of events (`providers/github.md` §5.6). GitHub never tries again by itself. */
export function createDeliveries(context: () => GithubContext): Deliveries {
  const records: HookDelivery[] = [];
  const underWay = new Set<Promise<void>>();

  const start = (hook: GithubHook, event: HookEvent, earlier?: HookDelivery): void => {
    const sending = deliver(context(), hook, event, earlier)
      .then((delivery) => {
        hook.deliveries.unshift(delivery);
        records.push(delivery);
      })
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
  };

  return {
    records,
    send: (hook, event) => start(hook, event),
    ping: (hook) => start(hook, describePing(context(), hook)),
    repeat: (hook, delivery) => {
      const repository = context().state.repositories.get(delivery.repositoryId ?? 0) ?? null;
      start(hook, { name: delivery.event, payload: delivery.payload, repository }, delivery);
    },
    announce: (repository, event) => {
      for (const hook of listListeners(context(), repository, event.name)) start(hook, event);
    },
    describePush: (repository, user, change) => describePush(context(), repository, user, change),
    settle: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function listListeners(
  { state }: GithubContext,
  repository: GithubRepository,
  event: string,
): readonly GithubHook[] {
  const { owner } = repository;
  const ofApps = [...state.apps.values()].filter((app) =>
    installationsOf(state, app).some(
      (installation) =>
        reaches(installation, repository) && !installation.suspendedAt && installation.events.includes(event),
    ),
  );
  const hooks = [
    ...hooksAt(state, { level: 'repository', repository }),
    ...(owner.kind === 'organization' ? hooksAt(state, { level: 'organization', organization: owner }) : []),
  ].filter(({ events }) => events.includes(event) || events.includes('*'));
  return [...hooks, ...ofApps.flatMap(({ hook }) => hook ?? [])].filter(({ active }) => active);
}

function describePing(context: GithubContext, hook: GithubHook): HookEvent {
  const repository = hook.place.level === 'repository' ? hook.place.repository : null;
  const payload = {
    zen: 'Speak like a human.',
    hook_id: hook.id,
    hook: { id: hook.id, active: hook.active, events: hook.events, config: { url: hook.url } },
    ...(repository ? { repository: toRepositoryJson(context, repository, { kind: 'nobody' }) } : {}),
  };
  return { name: 'ping', payload, repository };
}

function describePush(
  context: GithubContext,
  repository: GithubRepository,
  user: GithubUser | null,
  change?: RefChange,
): HookEvent {
  const commit = createHash('sha1').update(String(repository.id)).digest('hex');
  const { ref, before, after } = change ?? { ref: 'refs/heads/main', before: commit, after: commit };
  const payload = {
    ref,
    before,
    after,
    created: /^0+$/.test(before),
    deleted: /^0+$/.test(after),
    forced: false,
    commits: [],
    head_commit: null,
    repository: toRepositoryJson(context, repository, { kind: 'nobody' }),
    ...(user ? { pusher: { name: user.login }, sender: toSimpleUser(context, user) } : {}),
  };
  return { name: 'push', payload, repository };
}

async function deliver(
  context: GithubContext,
  hook: GithubHook,
  event: HookEvent,
  earlier: HookDelivery | undefined,
): Promise<HookDelivery> {
  const guid = earlier?.guid ?? randomUUID();
  const json = JSON.stringify(event.payload);
  const body = hook.contentType === 'json' ? json : new URLSearchParams({ payload: json }).toString();
  const headers = toHeaders(context, hook, event, guid, body);
  const startedAt = performance.now();
  const outcome = await post(hook.url, body, headers);
  const app = hook.place.level === 'app' ? hook.place.app : null;
  const installation =
    app &&
    installationsOf(context.state, app).find((one) => event.repository && reaches(one, event.repository));
  return {
    id: context.state.nextId('delivery'),
    guid,
    url: hook.url,
    event: event.name,
    isRedelivery: earlier !== undefined,
    deliveredAt: new Date(context.now()),
    durationS: Math.round(performance.now() - startedAt) / 1000,
    ...outcome,
    repositoryId: event.repository?.id ?? null,
    installationId: installation?.id ?? null,
    requestHeaders: headers,
    payload: event.payload,
  };
}

/** Signed are the bytes as they are sent, which for a form is the form. */
function toHeaders(
  { flavour, webUrl }: GithubContext,
  hook: GithubHook,
  event: HookEvent,
  guid: string,
  body: string,
): Readonly<Record<string, string>> {
  const { place, secret } = hook;
  const target =
    place.level === 'repository'
      ? ['repository', place.repository.id]
      : place.level === 'organization'
        ? ['organization', place.organization.id]
        : ['integration', place.app.id];
  const sign = (algorithm: string) =>
    createHmac(algorithm, secret ?? '')
      .update(body)
      .digest('hex');
  const { hostname } = new URL(webUrl());
  return {
    Accept: '*/*',
    'Content-Type': hook.contentType === 'json' ? 'application/json' : 'application/x-www-form-urlencoded',
    'User-Agent': 'GitHub-Hookshot/canary',
    'X-GitHub-Delivery': guid,
    'X-GitHub-Event': event.name,
    'X-GitHub-Hook-ID': String(hook.id),
    'X-GitHub-Hook-Installation-Target-ID': String(target[1]),
    'X-GitHub-Hook-Installation-Target-Type': String(target[0]),
    ...(flavour === 'enterprise-server' ? { 'X-GitHub-Enterprise-Host': hostname } : {}),
    ...(flavour === 'tenant' ? { 'X-GitHub-Tenant': hostname.split('.')[0] ?? '' } : {}),
    ...(secret === null
      ? {}
      : { 'X-Hub-Signature': `sha1=${sign('sha1')}`, 'X-Hub-Signature-256': `sha256=${sign('sha256')}` }),
  };
}

type Outcome = Pick<HookDelivery, 'statusCode' | 'status' | 'responseBody'>;

/** The simulator never leaves the machine: what is not loopback is not reached. */
async function post(url: string, body: string, headers: Readonly<Record<string, string>>): Promise<Outcome> {
  const target = new URL(url);
  const unreached = { statusCode: 0, status: 'failed to connect to host', responseBody: '' };
  if (!isLocalAddress(url) || target.protocol !== 'http:') return unreached;
  return new Promise((resolve) => {
    const request = requestHttp(target, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      timeout: deliverTimeoutMs,
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(unreached));
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve(unreached));
      response.on('end', () => {
        const statusCode = response.statusCode ?? 0;
        const isFine = statusCode >= 200 && statusCode < 300;
        const status = isFine ? 'OK' : `Invalid HTTP Response: ${statusCode}`;
        resolve({ statusCode, status, responseBody: Buffer.concat(chunks).toString() });
      });
    });
    request.end(body);
  });
}
