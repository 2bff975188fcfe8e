import { describe, expect, test } from 'vitest';
import { ForbiddenError, UnreachableError } from '../../src/errors.ts';
import { coversEvents } from '../../src/providers/webhook-support.ts';
import { Secret } from '../../src/secret.ts';
import {
  createWebhook,
  findRepository,
  listWebhooks,
  openLinked,
  requireWebhooks,
  webhookTarget,
  type ContractFixture,
} from '../providers/provider-kit.ts';

/** What every adapter that has webhooks must do with them. */
export function describeWebhookContract(fixture: ContractFixture): void {
  const { provider, layout } = fixture;
  const at = (name: string): string => `${layout?.prefix ?? ''}${name}`;

  describe.runIf(provider.webhooks)('webhooks', () => {
    const secrets = ['ab'.repeat(32), 'cd'.repeat(32)] as const;

    test('makes an enabled hook with the secret, the events, and its own mark where there is one', async () => {
      const { access, host } = await openLinked(fixture);
      const repository = await findRepository(provider, access, at('acme/api'));
      const events = requireWebhooks(provider).events['pull-request'] ?? [];
      const hook = await createWebhook(provider, access, repository, secrets[0], events);
      expect(hook).toMatchObject({ url: webhookTarget, active: true });
      expect(coversEvents(requireWebhooks(provider), hook, events)).toBe(true);
      expect(coversEvents(requireWebhooks(provider), hook, ['native-of-nobody'])).toBe(false);
      expect(requireWebhooks(provider).isMarked(access, hook)).not.toBe(false);
      expect(await listWebhooks(provider, access, repository)).toEqual([hook]);
      expect(host.hookSecretsOf(at('acme/api'))).toEqual(new Map([[hook.id, secrets[0]]]));
    });

    test('gets only the events that were asked for', async () => {
      const { access } = await openLinked(fixture);
      const admin = requireWebhooks(provider);
      const repository = await findRepository(provider, access, at('acme/api'));
      // Not every host has releases.
      const events = admin.events.release ?? admin.events['pull-request'];
      const hook = await createWebhook(provider, access, repository, secrets[0], events);
      expect(coversEvents(admin, hook, admin.events.push ?? [])).toBe(false);
    });

    test('F11: a change takes a new secret where it can, and leaves it alone where none is given', async () => {
      const { access, host } = await openLinked(fixture);
      const admin = requireWebhooks(provider);
      const repository = await findRepository(provider, access, at('acme/api'));
      const hook = await createWebhook(provider, access, repository, secrets[0]);
      const place = { level: 'repository', repository } as const;
      const events = [...hook.events, ...(admin.events.tag ?? [])];
      const wanted = { url: webhookTarget, events, secret: null, successorOf: null };
      const widened = await admin.update(access, place, hook, wanted);
      expect(widened).toMatchObject({ id: hook.id, url: webhookTarget, active: true });
      expect(coversEvents(admin, widened, events)).toBe(true);
      expect(host.hookSecretsOf(at('acme/api'))).toEqual(new Map([[hook.id, secrets[0]]]));
      if (!admin.secretChangesInPlace) return;
      const changed = await admin.update(access, place, widened, {
        ...wanted,
        secret: new Secret(secrets[1]),
      });
      expect(changed).toEqual(widened);
      expect(host.hookSecretsOf(at('acme/api'))).toEqual(new Map([[hook.id, secrets[1]]]));
    });

    test('removing what is gone is success', async () => {
      const { access, host } = await openLinked(fixture);
      const admin = requireWebhooks(provider);
      const repository = await findRepository(provider, access, at('acme/api'));
      const hook = await createWebhook(provider, access, repository, secrets[0]);
      const place = { level: 'repository', repository } as const;
      expect(await admin.remove(access, place, hook.id)).toBe('removed');
      expect(await admin.remove(access, place, hook.id)).toBe('gone');
      expect(host.hookSecretsOf(at('acme/api')).size).toBe(0);
    });

    test('a repository that is not to be seen any more does not mean that its hook is gone', async () => {
      const { access, session } = await openLinked(fixture);
      const repository = await findRepository(provider, access, at('acme/api'));
      const lost = { ...repository, id: '999999', fullName: at('acme/lost') };
      const removal = requireWebhooks(provider).remove(
        access,
        { level: 'repository', repository: lost },
        '1',
      );
      expect(await session.fail(removal)).toBeInstanceOf(ForbiddenError);
    });

    test('finds a hook of a repository that was renamed meanwhile', async () => {
      const { access, host } = await openLinked(fixture);
      const repository = await findRepository(provider, access, at('acme/api'));
      const hook = await createWebhook(provider, access, repository, secrets[0]);
      host.rename(at('acme/api'), at('acme/interface'));
      const place = { level: 'repository', repository } as const;
      expect(await requireWebhooks(provider).remove(access, place, hook.id)).toBe('removed');
    });

    test('F2: a hook is made once, also when the answer is lost', async () => {
      const { access, host, session } = await openLinked(fixture);
      const repository = await findRepository(provider, access, at('acme/api'));
      host.faults.add({ fault: { kind: 'lost' }, method: 'POST' });
      const error = await session.fail(createWebhook(provider, access, repository, secrets[0]));
      expect(error).toBeInstanceOf(UnreachableError);
      expect(host.hookSecretsOf(at('acme/api')).size).toBe(1);
    });

    test('names the page of the hooks', () => {
      const admin = requireWebhooks(provider);
      for (const level of admin.levels)
        expect(admin.pageUrl('https://h.dev/git', level, 'acme')).toMatch(
          /^https:\/\/h\.dev\/git\/(?=.*hooks).*acme/i,
        );
    });
  });
}
