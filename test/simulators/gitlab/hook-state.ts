import type { GitlabBehaviour } from './behaviour.ts';
import type { GitlabGroup, GitlabProject, GitlabState } from './state.ts';

/** What hooks of both levels can listen to. */
const sharedEvents = [
  'push_events',
  'tag_push_events',
  'issues_events',
  'confidential_issues_events',
  'merge_requests_events',
  'note_events',
  'confidential_note_events',
  'job_events',
  'pipeline_events',
  'wiki_page_events',
  'deployment_events',
  'feature_flag_events',
  'releases_events',
  'milestone_events',
  'emoji_events',
  'resource_access_token_events',
] as const;

export const projectEvents: readonly string[] = sharedEvents;
export const groupEvents: readonly string[] = [
  ...sharedEvents,
  'subgroup_events',
  'member_events',
  'project_events',
];

export interface GitlabHook {
  readonly id: number;
  readonly place: HookPlace;
  /** With `{names}` for the parts that are kept secret. */
  url: string;
  name: string | null;
  description: string | null;
  /** Null for none. Never shown. */
  token: string | null;
  signingToken: string | null;
  /** Those that are on. */
  events: ReadonlySet<string>;
  enableSslVerification: boolean;
  pushEventsBranchFilter: string | null;
  branchFilterStrategy: 'wildcard' | 'regex' | 'all_branches';
  customWebhookTemplate: string | null;
  customHeaders: Readonly<Record<string, string>>;
  urlVariables: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  /** Without a success in between. */
  failures: number;
  /** How often it was switched off for a while. */
  backoffs: number;
  /** Milliseconds since the epoch; Infinity for one that stays off. */
  disabledUntil: number;
  /** Newest first. */
  readonly deliveries: HookDelivery[];
}

export type HookPlace =
  | { readonly level: 'project'; readonly project: GitlabProject }
  | { readonly level: 'group'; readonly group: GitlabGroup };

/** As `GET …/events` lists it. */
export interface HookDelivery {
  readonly id: number;
  readonly url: string;
  readonly trigger: string;
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly requestData: unknown;
  readonly durationS: number;
  /** `internal error` where the receiver was not reached. */
  readonly responseStatus: string;
  readonly responseBody: string;
  readonly idempotencyKey: string;
  readonly createdAt: Date;
}

export function placeIdOf(place: HookPlace): number {
  return place.level === 'project' ? place.project.id : place.group.id;
}

function keyOf(place: HookPlace): string {
  return `${place.level} ${placeIdOf(place)}`;
}

/** The hooks of a place, in the order in which they were made. */
export function hooksAt(state: GitlabState, place: HookPlace): readonly GitlabHook[] {
  return state.hooks.get(keyOf(place)) ?? [];
}

export function addHook(state: GitlabState, hook: GitlabHook): void {
  state.hooks.set(keyOf(hook.place), [...hooksAt(state, hook.place), hook]);
}

export function removeHook(state: GitlabState, hook: GitlabHook): void {
  state.hooks.set(
    keyOf(hook.place),
    hooksAt(state, hook.place).filter((other) => other !== hook),
  );
}

const variablePattern = /\{([A-Za-z]+[0-9]*(?:[._-][A-Za-z0-9]+)*)\}/g;

/** The address with its variables in place; null where one is missing. */
export function interpolateUrl(url: string, variables: Readonly<Record<string, string>>): string | null {
  const names = [...url.matchAll(variablePattern)].map(([, name = '']) => name);
  if (names.some((name) => variables[name] === undefined)) return null;
  return url.replace(variablePattern, (_, name: string) => variables[name] ?? '');
}

export function alertStatusOf(hook: GitlabHook, now: number): string {
  if (hook.disabledUntil === Infinity) return 'disabled';
  return hook.disabledUntil > now ? 'temporarily_disabled' : 'executable';
}

/** Keeps count of what a receiver answers, and switches hooks off (`providers/gitlab.md` §5.7). */
export function noteOutcome(
  hook: GitlabHook,
  status: number | null,
  behaviour: GitlabBehaviour,
  now: number,
): void {
  if (status !== null && status >= 200 && status < 300) {
    hook.failures = 0;
    hook.backoffs = 0;
    hook.disabledUntil = 0;
    return;
  }
  hook.failures += 1;
  if (hook.failures < 4) return;
  const isClientError = status !== null && status >= 400 && status < 500;
  if (hook.failures >= 40 || (!behaviour.disablesHooksAlike && isClientError)) {
    hook.disabledUntil = Infinity;
    return;
  }
  const pauseMinutes = Math.min(2 ** hook.backoffs, 24 * 60);
  hook.backoffs += 1;
  hook.disabledUntil = now + pauseMinutes * 60_000;
}

/** A hook as the API shows it: that there is a secret, never which. */
export function toHookJson(behaviour: GitlabBehaviour, hook: GitlabHook, now: number) {
  const events = hook.place.level === 'project' ? projectEvents : groupEvents;
  const keysOf = (pairs: Readonly<Record<string, string>>) => Object.keys(pairs).map((key) => ({ key }));
  const isPaused = Number.isFinite(hook.disabledUntil) && hook.disabledUntil > now;
  return {
    id: hook.id,
    url: hook.url,
    ...(behaviour.hasHookNames ? { name: hook.name, description: hook.description } : {}),
    created_at: hook.createdAt.toISOString(),
    ...Object.fromEntries(events.map((event) => [event, hook.events.has(event)])),
    enable_ssl_verification: hook.enableSslVerification,
    repository_update_events: false,
    alert_status: alertStatusOf(hook, now),
    disabled_until: isPaused ? new Date(hook.disabledUntil).toISOString() : null,
    url_variables: keysOf(hook.urlVariables),
    push_events_branch_filter: hook.pushEventsBranchFilter,
    branch_filter_strategy: hook.branchFilterStrategy,
    custom_webhook_template: hook.customWebhookTemplate ?? '',
    ...(behaviour.hasHookNames ? { custom_headers: keysOf(hook.customHeaders) } : {}),
    ...(behaviour.hasSigningTokens
      ? { token_present: hook.token !== null, signing_token_present: hook.signingToken !== null }
      : {}),
    [`${hook.place.level}_id`]: placeIdOf(hook.place),
  };
}
