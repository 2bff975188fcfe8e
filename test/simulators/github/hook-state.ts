import type { GithubApp } from './app-state.ts';
import type { OAuthClient } from './oauth-state.ts';
import type { GithubOrganization, GithubRepository, GithubState } from './state.ts';

/** Where a hook hangs. */
export type HookPlace =
  | { readonly level: 'repository'; readonly repository: GithubRepository }
  | { readonly level: 'organization'; readonly organization: GithubOrganization }
  | { readonly level: 'app'; readonly app: GithubApp };

export interface GithubHook {
  readonly id: number;
  readonly place: HookPlace;
  url: string;
  contentType: 'json' | 'form';
  insecureSsl: '0' | '1';
  /** Null for none. Never shown. */
  secret: string | null;
  active: boolean;
  events: readonly string[];
  /** The OAuth App that made it, which alone sees it where it hangs at an organization. */
  readonly creator: OAuthClient | null;
  readonly createdAt: Date;
  updatedAt: Date;
  /** Newest first. */
  readonly deliveries: HookDelivery[];
}

export interface HookDelivery {
  readonly id: number;
  /** The same for every try. */
  readonly guid: string;
  readonly url: string;
  readonly event: string;
  readonly isRedelivery: boolean;
  readonly deliveredAt: Date;
  readonly durationS: number;
  /** 0 where the receiver was not reached. */
  readonly statusCode: number;
  readonly status: string;
  readonly repositoryId: number | null;
  readonly installationId: number | null;
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly payload: object;
  readonly responseBody: string;
}

function keyOf(place: HookPlace): string {
  switch (place.level) {
    case 'repository':
      return `repository ${place.repository.id}`;
    case 'organization':
      return `organization ${place.organization.id}`;
    case 'app':
      return `app ${place.app.id}`;
  }
}

/** The hooks of a place, in the order in which they were made. */
export function hooksAt(state: GithubState, place: HookPlace): readonly GithubHook[] {
  return state.hooks.get(keyOf(place)) ?? [];
}

type NewHook = Pick<GithubHook, 'place' | 'url'> & Partial<GithubHook>;

/** Keeps a new hook. */
export function createHook(state: GithubState, now: number, spec: NewHook): GithubHook {
  const hook: GithubHook = {
    id: state.nextId('hook'),
    contentType: 'form',
    insecureSsl: '0',
    secret: null,
    active: true,
    events: ['push'],
    creator: null,
    createdAt: new Date(now),
    updatedAt: new Date(now),
    deliveries: [],
    ...spec,
  };
  state.hooks.set(keyOf(hook.place), [...hooksAt(state, hook.place), hook]);
  return hook;
}

export function removeHook(state: GithubState, hook: GithubHook): void {
  state.hooks.set(
    keyOf(hook.place),
    hooksAt(state, hook.place).filter((other) => other !== hook),
  );
}
