import { isRecord, refuseInvalid, type Call } from './call.ts';
import type { GithubHook } from './hook-state.ts';

/** What hooks of repositories and organizations can listen to; those of apps alone are left out. */
const knownEvents = new Set(
  '* branch_protection_rule check_run check_suite code_scanning_alert commit_comment create delete dependabot_alert deploy_key deployment deployment_status discussion discussion_comment fork gollum issue_comment issues label member membership merge_group meta milestone organization org_block package page_build ping project public pull_request pull_request_review pull_request_review_comment pull_request_review_thread push registry_package release repository repository_dispatch repository_import repository_vulnerability_alert secret_scanning_alert sponsorship star status team team_add watch workflow_dispatch workflow_job workflow_run'.split(
    ' ',
  ),
);

type Fields = Readonly<Record<string, unknown>>;
type Config = Pick<GithubHook, 'url' | 'contentType' | 'insecureSsl' | 'secret'>;

function refuseHook(call: Call, field: string, message: string) {
  return refuseInvalid(call, [{ resource: 'Hook', code: 'custom', field, message }]);
}

export function isLocalAddress(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^(127|10|192\.168|169\.254)\./.test(hostname);
}

/** Reads the parts of a config that were sent. @throws Refusal 422. */
export function readConfig(call: Call, config: Fields): Partial<Config> {
  const { url, content_type: type, insecure_ssl: insecure, secret } = config;
  if (type !== undefined && type !== 'json' && type !== 'form') {
    throw refuseHook(call, 'content_type', 'content_type must be json or form');
  }
  return {
    ...(url === undefined ? {} : { url: readUrl(call, url) }),
    ...(type === undefined ? {} : { contentType: type }),
    ...(insecure === undefined
      ? {}
      : { insecureSsl: insecure === 1 || insecure === '1' ? ('1' as const) : ('0' as const) }),
    ...(secret === undefined ? {} : { secret: typeof secret === 'string' && secret !== '' ? secret : null }),
  };
}

function readUrl(call: Call, value: unknown): string {
  const text = typeof value === 'string' ? value : '';
  if (text === '') throw refuseHook(call, 'url', 'url cannot be blank');
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw refuseHook(call, 'url', 'url must be a valid URL with http or https');
  }
  if (!call.settings.allowsLocalWebhooks && isLocalAddress(text)) {
    const host = new URL(text).hostname;
    throw refuseHook(
      call,
      'url',
      `url is not supported because it isn't reachable over the public Internet (${host})`,
    );
  }
  return text;
}

/** The whole config of a hook: what is left out falls back, the secret too. @throws Refusal 422. */
export function readWholeConfig(call: Call, config: unknown): Config {
  if (!isRecord(config)) throw refuseHook(call, 'config', 'config is missing');
  const { url, ...others } = readConfig(call, config);
  if (url === undefined) throw refuseHook(call, 'url', 'url cannot be blank');
  return { contentType: 'form', insecureSsl: '0', secret: null, ...others, url };
}

export function readName(call: Call, name: unknown): void {
  const isMissing = name === undefined;
  // An organization's must be named, a repository's may.
  if (isMissing ? call.request.params['org'] !== undefined : name !== 'web') {
    throw refuseHook(call, 'name', 'name must be web');
  }
}

/** @throws Refusal 422 for what is no event. */
export function readEvents(call: Call, events: unknown): readonly string[] {
  const list: unknown = events ?? [];
  if (!Array.isArray(list)) throw refuseHook(call, 'events', 'events must be a list');
  for (const event of list) {
    if (typeof event !== 'string' || !knownEvents.has(event)) {
      throw refuseHook(call, 'events', `events contains an unknown event: ${String(event)}`);
    }
  }
  return [...new Set(list as readonly string[])];
}

function overlap(left: readonly string[], right: readonly string[]): boolean {
  return left.includes('*') || right.includes('*') || left.some((event) => right.includes(event));
}

/** Refuses a hook that is there already, and too many for one event (`providers/github.md` §5.4). */
export function checkNeighbours(
  call: Call,
  neighbours: readonly GithubHook[],
  hook: Pick<GithubHook, 'url' | 'contentType' | 'insecureSsl' | 'events'>,
): void {
  const isThere = neighbours.some(
    (other) =>
      other.url === hook.url &&
      other.contentType === hook.contentType &&
      other.insecureSsl === hook.insecureSsl &&
      overlap(other.events, hook.events),
  );
  const place = call.request.params['org'] === undefined ? 'repository' : 'organization';
  if (isThere) {
    const message = `Hook already exists on this ${place}`;
    throw refuseInvalid(call, [{ resource: 'Hook', code: 'custom', message }]);
  }
  for (const event of hook.events) {
    const count = neighbours.filter(({ events }) => events.includes(event)).length;
    if (count < call.settings.maxHooksPerEvent) continue;
    const message = `The "${event}" event cannot have more than ${call.settings.maxHooksPerEvent} hooks`;
    throw refuseInvalid(call, [{ resource: 'Hook', code: 'custom', message }]);
  }
}
