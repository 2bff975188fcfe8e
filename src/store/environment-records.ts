import type { ClientRecord, LinkRecord, Records } from './link-schema.ts';
import type { LinkStore } from './link-store.ts';
import type { WithLock } from './process-lock.ts';

/** The id of the link that the environment makes. Nothing about it is ever written to a file. */
export const environmentId = 'env';

/** How the environment's link gets another credential: no command can give it one. Completes "to mend it, …". */
export function nameEnvironmentStep({ method }: LinkRecord): string {
  return method === 'token' ? 'set another GITLINK_TOKEN' : 'change the variables GITLINK_…';
}

/** What the environment adds to the records of a process tree. */
export interface EnvironmentRecords {
  readonly link: LinkRecord;
  /** Null for a credential that needs none. */
  readonly client: ClientRecord | null;
}

/** Other processes know nothing of the environment's link, and a lock would leave a file. */
export function withoutEnvironmentLocks(lock: WithLock): WithLock {
  return (name, work, limitMs) => (name.endsWith(`-${environmentId}`) ? work() : lock(name, work, limitMs));
}

/**
 * Puts the environment's link before those of a store, for as long as this process runs. Whatever is changed of it is
 * forgotten with the process; what is changed of the others is written as ever.
 */
export function withEnvironment(store: LinkStore, environment: EnvironmentRecords): LinkStore {
  let own = environment;

  function add(records: Records): Records {
    return {
      ...records,
      links: [own.link, ...records.links],
      clients: own.client === null ? records.clients : [own.client, ...records.clients],
    };
  }

  /** Keeps what was changed of the environment's records here, and gives back the others. */
  function take(records: Records): Records {
    const isOwn = ({ id }: { readonly id: string }): boolean => id === environmentId;
    own = {
      link: records.links.find(isOwn) ?? own.link,
      client: records.clients.find(isOwn) ?? own.client,
    };
    return {
      ...records,
      links: records.links.filter((link) => !isOwn(link)),
      clients: records.clients.filter((client) => !isOwn(client)),
      intents: records.intents.filter(({ storage }) => storage !== 'env'),
    };
  }

  return {
    read: () => add(store.read()),
    async change(decide) {
      const before = store.read();
      const after = take(decide(add(before)));
      // A change of the environment's link alone must not make a file.
      if (JSON.stringify(after) === JSON.stringify(before)) return add(before);
      return add(await store.change((current) => take(decide(add(current)))));
    },
  };
}
