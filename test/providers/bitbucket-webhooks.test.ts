import { describe, expect, test } from 'vitest';
import { ForbiddenError, RateLimitError } from '../../src/errors.ts';
import { createHostClient } from '../../src/http/create-host-client.ts';
import { bitbucketProvider } from '../../src/providers/bitbucket/index.ts';
import { Secret } from '../../src/secret.ts';
import { systemRandom } from '../../src/runtime.ts';
import { createVirtualClock, sendJson, startServer } from '../http/http-kit.ts';
import { renameRepository } from '../simulators/bitbucket/world.ts';
import {
  admin,
  linkBitbucket,
  linkPlace,
  only,
  openWith,
  placeOf,
  startBitbucket,
  toCredential,
  usualApiScopes,
} from './bitbucket-kit.ts';
import { webhookTarget } from './provider-kit.ts';

const wanted = {
  url: webhookTarget,
  events: ['repo:push', 'pullrequest:created'],
  secret: new Secret('ab'.repeat(32)),
  successorOf: null,
};

describe('Bitbucket webhooks', () => {
  test('gitlink knows its own by their description', async () => {
    const { access } = await linkBitbucket();
    const place = await placeOf(access, 'acme/api');
    const hook = await admin.create(access, place, wanted);
    expect(hook).toMatchObject({ name: 'gitlink', active: true });
    expect(admin.isMarked(access, hook)).toBe(true);
    expect(admin.isMarked(access, { ...hook, name: null })).toBe(false);
  });

  test('a tag is a push, and both together are one event', async () => {
    const { access, bitbucket } = await linkBitbucket();
    const events = [...(admin.events.push ?? []), ...(admin.events.tag ?? [])];
    await admin.create(access, await placeOf(access, 'acme/api'), { ...wanted, events });
    expect(bitbucket.hooksOf('acme/api')[0]?.events).toEqual(['repo:push']);
    expect(admin.events.release).toBeUndefined();
  });

  test("a change keeps the hook's other settings and, unless told, its secret", async () => {
    const { access, bitbucket } = await linkBitbucket();
    const place = await placeOf(access, 'acme/api');
    await admin.create(access, place, wanted);
    const [stored] = bitbucket.hooksOf('acme/api');
    if (stored) Object.assign(stored, { skipsCertificate: true, keepsHistory: true, active: false });
    const hook = only(await admin.list(access, place));
    expect(hook.active).toBe(false);
    expect(await admin.update(access, place, hook, { ...wanted, secret: null })).toMatchObject({
      active: true,
    });
    expect(bitbucket.hooksOf('acme/api')[0]).toMatchObject({
      skipsCertificate: true,
      keepsHistory: true,
      secret: 'ab'.repeat(32),
      description: 'gitlink',
    });
  });

  test('workspaces have webhooks, projects have none', async () => {
    const { access, bitbucket, session } = await linkBitbucket();
    const place = { level: 'namespace', namespace: 'acme' } as const;
    const hook = await admin.create(access, place, wanted);
    expect(await admin.list(access, place)).toEqual([hook]);
    expect(await admin.remove(access, place, hook.id)).toBe('removed');
    expect(await admin.remove(access, place, hook.id)).toBe('gone');
    expect(bitbucket.hooksOf('acme')).toEqual([]);
    const work = admin.list(access, { level: 'namespace', namespace: 'acme/API' });
    expect(await session.fail(work)).toBeInstanceOf(ForbiddenError);
  });

  test('a workspace of which the account is no administrator says so', async () => {
    const { access, session } = await linkBitbucket();
    const error = await session.fail(admin.list(access, { level: 'namespace', namespace: 'others' }));
    expect(error).toMatchObject({ code: 'forbidden' });
  });

  test('a hook of a repository that moved away is not called gone', async () => {
    const { access, bitbucket, session } = await linkBitbucket();
    const place = await placeOf(access, 'acme/api');
    const hook = await admin.create(access, place, wanted);
    renameRepository(bitbucket.state, 'acme/api', 'bob/api');
    expect(await session.fail(admin.remove(access, place, hook.id))).toBeInstanceOf(ForbiddenError);
  });

  test.each([
    ['an event that there is none of', { events: ['repo:nothing'] }, 'events: Invalid event'],
    ['an address that leads nowhere', { url: 'ftp://acme.test' }, 'url: Enter a valid URL.'],
    ['a secret that is too long', { secret: new Secret('a'.repeat(129)) }, 'secret: Ensure this value'],
  ])('what Bitbucket minds about %s is said', async (_name, change, words) => {
    const { access, session } = await linkBitbucket();
    const work = admin.create(access, await placeOf(access, 'acme/api'), { ...wanted, ...change });
    const error = await session.fail(work);
    expect(error).toMatchObject({ status: 400 });
    expect(error.message).toContain(words);
  });

  test('one hook too many is said', async () => {
    const { access, session } = await linkBitbucket({ settings: { maxHooks: 0 } });
    const error = await session.fail(admin.create(access, await placeOf(access, 'acme/api'), wanted));
    expect(error.message).toContain('more than 0 webhooks');
  });

  test('a secret that was not kept is no success', async () => {
    const hook = { uuid: '{1}', url: wanted.url, active: true, events: wanted.events, secret_set: false };
    const server = await startServer((_request, response) => sendJson(response, hook, 201));
    const access = openWith(server.base, toCredential('eyJcanary'));
    const place = { level: 'namespace', namespace: 'acme' } as const;
    await expect(admin.create(access, place, wanted)).rejects.toThrow(ForbiddenError);
  });

  test.each(['api', 'repository', 'project', 'workspace'] as const)(
    'the life of a hook with a token of the kind %s',
    async (kind) => {
      const bitbucket = await startBitbucket();
      const resource = { repository: 'acme/api', project: 'acme/API', workspace: 'acme', api: '' }[kind];
      const scopes = ['pullrequest', 'repository', 'webhook'];
      const access =
        kind === 'api'
          ? openWith(bitbucket.url, toCredential(bitbucket.addToken({ kind, scopes: usualApiScopes }).secret))
          : (await linkPlace(bitbucket, { kind, resource, scopes })).access;
      const place = await placeOf(access, 'acme/api');
      const hook = await admin.create(access, place, wanted);
      expect(await admin.update(access, place, hook, { ...wanted, events: ['repo:push'] })).toMatchObject({
        id: hook.id,
      });
      expect(await admin.remove(access, place, hook.id)).toBe('removed');
    },
  );
});

describe('fact 9: the count of webhook calls', () => {
  test('a repository costs one to read and one to change', async () => {
    const { access, bitbucket } = await linkBitbucket();
    const place = await placeOf(access, 'acme/api');
    const hook = await admin.create(access, place, wanted);
    const before = bitbucket.requests.length;
    expect(await admin.list(access, place)).toHaveLength(1);
    await admin.update(access, place, hook, wanted);
    expect(bitbucket.requests.slice(before).map(({ method }) => method)).toEqual(['GET', 'PUT']);
    const [budget] = bitbucketProvider.pacing.hourlyBudgets ?? [];
    expect(budget?.requests).toBe(900);
    expect(budget?.covers('/repositories/{}/{}/hooks/{}')).toBe(true);
    expect(budget?.covers('/repositories/{}')).toBe(false);
  });

  test('used up, it is waited for with patience, and given up in time', async () => {
    const server = await startServer((_request, response) =>
      response
        .writeHead(429, { 'content-type': 'text/plain' })
        .end('Rate limit for this resource has been exceeded'),
    );
    const clock = createVirtualClock();
    const credential = toCredential('eyJcanary');
    const http = createHostClient({
      base: bitbucketProvider.toApiBase(server.base),
      fetch: globalThis.fetch,
      clock,
      random: systemRandom,
      signal: new AbortController().signal,
      userAgent: 'gitlink/test',
      pacing: bitbucketProvider.pacing,
      authorize: () => Promise.resolve(bitbucketProvider.toAuthorization(credential)),
    });
    const access = { ...openWith(server.base, credential), http };
    const work = admin.list(access, { level: 'namespace', namespace: 'acme' });
    await expect(work).rejects.toThrow(RateLimitError);
    expect(clock.waits).toEqual([30_000, 60_000]);
  });
});
