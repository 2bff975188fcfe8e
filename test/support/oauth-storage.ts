type Payload = Record<string, unknown> & {
  readonly grantId?: string;
  readonly uid?: string;
  readonly userCode?: string;
  consumed?: number;
};

interface Entry {
  readonly model: string;
  readonly payload: Payload;
  readonly expiresAt: number;
}

/**
 * Storage for oidc-provider with two habits of strict hosts: a new access token ends the grant's older one, and a
 * refresh token that was used is gone (`refuse`) or remembered, so that its second use ends the grant.
 */
export function createMemoryAdapter(reuse: 'refuse' | 'revokeGrant') {
  const entries = new Map<string, Entry>();

  return class MemoryAdapter {
    readonly model: string;

    constructor(model: string) {
      this.model = model;
    }

    upsert(id: string, payload: Payload, expiresInS: number): Promise<void> {
      if (this.model === 'AccessToken') this.forget((entry) => entry.payload.grantId === payload.grantId);
      const expiresAt = Number.isFinite(expiresInS) ? Date.now() + expiresInS * 1000 : Infinity;
      entries.set(this.toKey(id), { model: this.model, payload, expiresAt });
      return Promise.resolve();
    }

    find(id: string): Promise<Payload | undefined> {
      const entry = entries.get(this.toKey(id));
      return Promise.resolve(entry && entry.expiresAt > Date.now() ? entry.payload : undefined);
    }

    findByUid(uid: string): Promise<Payload | undefined> {
      return Promise.resolve(this.search((payload) => payload.uid === uid));
    }

    findByUserCode(userCode: string): Promise<Payload | undefined> {
      return Promise.resolve(this.search((payload) => payload.userCode === userCode));
    }

    consume(id: string): Promise<void> {
      const entry = entries.get(this.toKey(id));
      if (entry && reuse === 'refuse' && this.model === 'RefreshToken') return this.destroy(id);
      if (entry) entry.payload.consumed = Math.floor(Date.now() / 1000);
      return Promise.resolve();
    }

    destroy(id: string): Promise<void> {
      entries.delete(this.toKey(id));
      return Promise.resolve();
    }

    revokeByGrantId(grantId: string): Promise<void> {
      this.forget((entry) => entry.payload.grantId === grantId);
      return Promise.resolve();
    }

    private toKey(id: string): string {
      return `${this.model} ${id}`;
    }

    private search(matches: (payload: Payload) => boolean): Payload | undefined {
      return [...entries.values()].find(({ model, payload }) => model === this.model && matches(payload))
        ?.payload;
    }

    private forget(matches: (entry: Entry) => boolean): void {
      for (const [key, entry] of entries) {
        if (entry.model === this.model && matches(entry)) entries.delete(key);
      }
    }
  };
}
