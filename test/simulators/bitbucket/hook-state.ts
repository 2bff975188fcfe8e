import type { BitbucketRepository, BitbucketWorkspace } from './state.ts';

/** Where a hook hangs. */
export type HookPlace =
  | { readonly level: 'repository'; readonly repository: BitbucketRepository }
  | { readonly level: 'workspace'; readonly workspace: BitbucketWorkspace };

export interface BitbucketHook {
  readonly uuid: string;
  readonly place: HookPlace;
  url: string;
  description: string;
  active: boolean;
  events: readonly string[];
  /** Null for none; never told. */
  secret: string | null;
  skipsCertificate: boolean;
  keepsHistory: boolean;
  readonly createdAt: Date;
}

/** The key of a place in the table of hooks. */
export function keyOf(place: HookPlace): string {
  return place.level === 'repository' ? place.repository.uuid : place.workspace.uuid;
}
