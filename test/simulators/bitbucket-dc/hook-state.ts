import type { DcSettings } from './call.ts';
import type { DcProject, DcRepository, DcState } from './state.ts';

const sharedEvents: readonly string[] = [
  'repo:refs_changed',
  'repo:modified',
  'repo:forked',
  'repo:comment:added',
  'repo:comment:edited',
  'repo:comment:deleted',
  'repo:secret_detected',
  'pr:opened',
  'pr:from_ref_updated',
  'pr:modified',
  'pr:reviewer:updated',
  'pr:reviewer:approved',
  'pr:reviewer:unapproved',
  'pr:reviewer:changes_requested',
  'pr:merged',
  'pr:declined',
  'pr:deleted',
  'pr:comment:added',
  'pr:comment:edited',
  'pr:comment:deleted',
  'mirror:repo_synchronized',
];

/** What hooks of a level can listen to. */
export const hookEvents: Readonly<Record<HookPlace['level'], readonly string[]>> = {
  repository: sharedEvents,
  project: [...sharedEvents, 'project:modified'],
};

export type HookPlace =
  | { readonly level: 'repository'; readonly repository: DcRepository }
  | { readonly level: 'project'; readonly project: DcProject };

/** One delivery, as `…/latest` shows it. */
export interface Invocation {
  readonly id: number;
  readonly hookId: number | null;
  readonly event: string;
  readonly url: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: 'SUCCESS' | 'FAILURE' | 'ERROR';
  /** Null where the receiver was not reached. */
  readonly status: number | null;
  readonly description: string;
  readonly requestHeaders: Readonly<Record<string, string>>;
}

/** What a person may set; `PUT` replaces it all. */
export interface HookSettings {
  readonly name: string;
  readonly url: string;
  readonly active: boolean;
  readonly events: readonly string[];
  /** The secret lies in it. */
  readonly configuration: Readonly<Record<string, string>>;
  readonly credentials: { readonly username: string; readonly password: string } | null;
  readonly sslVerificationRequired: boolean;
}

export interface DcHook {
  readonly id: number;
  readonly place: HookPlace;
  settings: HookSettings;
  readonly createdAt: number;
  updatedAt: number;
  /** Newest first. */
  readonly invocations: Invocation[];
  /** Failures since the last success. */
  failures: number;
  /** By how much the next pause grows. */
  pauses: number;
  /** Milliseconds since the epoch. */
  skippedUntil: number;
}

function keyOf(place: HookPlace): string {
  return place.level === 'project' ? `project ${place.project.id}` : `repository ${place.repository.id}`;
}

/** The hooks of a place, in the order in which they were made. */
export function hooksAt(state: DcState, place: HookPlace): readonly DcHook[] {
  return state.hooks.get(keyOf(place)) ?? [];
}

export function addHook(state: DcState, hook: DcHook): void {
  state.hooks.set(keyOf(hook.place), [...hooksAt(state, hook.place), hook]);
}

export function removeHook(state: DcState, hook: DcHook): void {
  const others = hooksAt(state, hook.place).filter((other) => other !== hook);
  state.hooks.set(keyOf(hook.place), others);
}

const failuresBeforePause = 5;
const shortestPauseMs = 10_000;
const longestPauseMs = 36_000_000;

/** The circuit breaker: after five failures in a row a hook is left out, longer each time. */
export function noteOutcome(hook: DcHook, invocation: Invocation, settings: DcSettings, now: number): void {
  hook.invocations.unshift(invocation);
  if (invocation.outcome === 'SUCCESS') {
    hook.failures = 0;
    hook.pauses = 0;
    hook.skippedUntil = 0;
    return;
  }
  hook.failures += 1;
  if (!settings.hasCircuitBreaker || hook.failures < failuresBeforePause) return;
  hook.skippedUntil = now + Math.min(shortestPauseMs * 2 ** hook.pauses, longestPauseMs);
  hook.pauses += 1;
}

export const mask = '********';

/** A hook as the API shows it: with its secret, unless that is masked, but never with a password. */
export function toHookJson({ secretsMasked }: DcSettings, hook: DcHook) {
  const { credentials, configuration, ...settings } = hook.settings;
  const shown =
    secretsMasked && 'secret' in configuration ? { ...configuration, secret: mask } : configuration;
  return {
    id: hook.id,
    ...settings,
    createdDate: hook.createdAt,
    updatedDate: hook.updatedAt,
    configuration: shown,
    ...(credentials ? { credentials: { username: credentials.username } } : {}),
    scopeType: hook.place.level,
  };
}
