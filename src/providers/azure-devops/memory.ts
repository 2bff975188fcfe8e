import type { HostClient } from '../../http/host-client.ts';
import type { HostAccess } from '../provider.ts';
import type * as schemas from './schemas.ts';

/** What was learnt of an organization on the way, so that it is asked once and not once per repository. */
export interface Memory {
  /** The project of each repository, by their ids: a webhook names both. */
  readonly projectIds: Map<string, string>;
  /** All webhooks of the organization, which come in one list; null where they are not known. */
  subscriptions: Promise<readonly schemas.Subscription[]> | null;
}

/** It lives as long as the way to the host does. */
const memories = new WeakMap<HostClient, Memory>();

export function recall({ http }: Pick<HostAccess, 'http'>): Memory {
  const known = memories.get(http);
  if (known) return known;
  const memory: Memory = { projectIds: new Map(), subscriptions: null };
  memories.set(http, memory);
  return memory;
}
