import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ForbiddenError, type GitlinkError } from '../../src/errors.ts';
import { githubProvider } from '../../src/providers/github/index.ts';
import type { HostAccess } from '../../src/providers/provider.ts';
import { coversEvents, type WantedWebhook, type WebhookPlace } from '../../src/providers/webhook-support.ts';
import { Secret } from '../../src/secret.ts';
import { startServer } from '../http/http-kit.ts';
import { requireUser } from '../simulators/github/state.ts';
import { storeToken } from '../simulators/github/token-state.ts';
import { renameRepository } from '../simulators/github/world.ts';
import {
  admin,
  cloud,
  linkGithub,
  only,
  placeOf,
  startGithub,
  usualScopes,
  type LinkedGithub,
} from './github-kit.ts';
import { createSession } from './provider-kit.ts';

const url = 'http://127.0.0.1:9/hook';
const first = 'ab'.repeat(32);
const second = 'cd'.repeat(32);

function want(changes: Partial<WantedWebhook> = {}): WantedWebhook {
  return { url, events: ['push'], secret: new Secret(first), successorOf: null, ...changes };
}

function hookOf({ github }: LinkedGithub, place = 'acme/api') {
  const [hook, ...others] = github.hooksOf(place);
  if (!hook || others.length > 0) throw new Error(`${place} has ${others.length} more hooks.`);
  return hook;
}

/** What was sent to change something since then. */
function writesSince({ github }: LinkedGithub, then: number) {
  return github.requests
    .slice(then)
    .filter(({ method }) => method !== 'GET')
    .map(({ method, path, body }) => ({ what: `${method} ${path.replace('/api/v3', '')}`, body }));
}

const acme = { level: 'namespace', namespace: 'acme' } as const;

describe('a GitHub webhook', () => {
  test('sends JSON, checks certificates, and has no other settings', async () => {
    const linked = await linkGithub();
    await admin.create(linked.access, await placeOf(linked.access, 'acme/api'), want());
    expect(hookOf(linked)).toMatchObject({
      url,
      secret: first,
      contentType: 'json',
      insecureSsl: '0',
      events: ['push'],
      active: true,
    });
  });

  test('tells of tags by pushes, so that both together are one event', async () => {
    const linked = await linkGithub();
    const events = [...(admin.events.push ?? []), ...(admin.events.tag ?? [])];
    await admin.create(linked.access, await placeOf(linked.access, 'acme/api'), want({ events }));
    expect(hookOf(linked).events).toEqual(['push']);
  });

  test('that hears everything covers every event', async () => {
    const linked = await linkGithub();
    const place = await placeOf(linked.access, 'acme/api');
    const hook = await admin.create(linked.access, place, want({ events: ['*'] }));
    expect(coversEvents(admin, hook, ['push', 'release'])).toBe(true);
    expect(admin.isMarked(linked.access, hook)).toBeNull();
  });
});

describe('§0 no. 12: the secret of a GitHub webhook', () => {
  async function prepare(place?: WebhookPlace) {
    const linked = await linkGithub();
    const where = place ?? (await placeOf(linked.access, 'acme/api'));
    const hook = await admin.create(linked.access, where, want());
    return {
      linked,
      where,
      hook,
      then: linked.github.requests.length,
      name: where.level === 'namespace' ? 'acme' : 'acme/api',
    };
  }

  test.each([
    ['a repository', undefined, '/repos/acme/api'],
    ['an organization', acme, '/orgs/acme'],
  ] as const)('of %s is changed alone, by one request', async (_name, place, path) => {
    const { linked, where, hook, then, name } = await prepare(place);
    await admin.update(linked.access, where, hook, want({ secret: new Secret(second) }));
    expect(writesSince(linked, then)).toEqual([
      { what: `PATCH ${path}/hooks/${hook.id}/config`, body: { secret: second } },
    ]);
    expect(hookOf(linked, name)).toMatchObject({
      secret: second,
      url,
      contentType: 'json',
      events: ['push'],
    });
  });

  test('stays when events, state and address change, which never send the configuration of the hook', async () => {
    const { linked, where, hook, then } = await prepare();
    hookOf(linked).active = false;
    const off = only(await admin.list(linked.access, where));
    const elsewhere = `${url}2`;
    const changed = await admin.update(
      linked.access,
      where,
      off,
      want({ secret: null, events: ['release'], url: elsewhere }),
    );
    expect(writesSince(linked, then)).toEqual([
      { what: `PATCH /repos/acme/api/hooks/${hook.id}`, body: { active: true, events: ['release'] } },
      { what: `PATCH /repos/acme/api/hooks/${hook.id}/config`, body: { url: elsewhere } },
    ]);
    expect(hookOf(linked)).toMatchObject({
      secret: first,
      url: elsewhere,
      active: true,
      events: ['release'],
    });
    expect(only(await admin.list(linked.access, where))).toEqual(changed);
  });

  test('leaves alone how a hook of somebody else sends', async () => {
    const { linked, where } = await prepare();
    Object.assign(hookOf(linked), { contentType: 'form', insecureSsl: '1', secret: null });
    const found = only(await admin.list(linked.access, where));
    expect(found.settings).toEqual({ contentType: 'form', checksCertificate: false, hasSecret: false });
    const changed = await admin.update(linked.access, where, found, want({ secret: new Secret(second) }));
    expect(changed.settings).toMatchObject({ contentType: 'form', hasSecret: true });
  });
});

describe('making a GitHub webhook', () => {
  test('§13 no. 12: one that somebody made meanwhile is taken over, not made twice', async () => {
    const linked = await linkGithub();
    const place = await placeOf(linked.access, 'acme/api');
    const made = await admin.create(linked.access, place, want({ events: ['push', 'release'] }));
    const again = await admin.create(linked.access, place, want({ secret: new Secret(second) }));
    expect(again.id).toBe(made.id);
    expect(hookOf(linked)).toMatchObject({ secret: second, events: ['push'] });
  });

  test('§0 no. 11: one of an organization that is hidden because an OAuth App made it is explained', async () => {
    const github = await startGithub();
    const session = createSession(githubProvider);
    const { secret } = storeToken(github.state, Date.now(), {
      kind: 'oauth',
      name: 'canary',
      user: requireUser(github.state, 'ada'),
      scopes: usualScopes,
      client: github.oauth.addApplication(),
    });
    const byApp = await session.link(github.url, secret);
    await admin.create(byApp, acme, want());
    const byPerson = await session.link(github.url, github.addToken({ scopes: usualScopes }).secret);
    expect(await admin.list(byPerson, acme)).toEqual([]);
    const error = await session.fail(admin.create(byPerson, acme, want()));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain('OAuth App');
  });

  test('§13 no. 13: says when there are too many for an event', async () => {
    const { access, session } = await linkGithub({ settings: { maxHooksPerEvent: 1 } });
    const place = await placeOf(access, 'acme/api');
    await admin.create(access, place, want());
    const error = await session.fail(admin.create(access, place, want({ url: `${url}2` })));
    expect(error.message).toContain('The "push" event cannot have more than 1 hooks');
  });

  test('§13 no. 25: says when github.com does not deliver to the address', async () => {
    const { access, session } = await linkGithub({ flavour: 'github.com' });
    const error = await session.fail(admin.create(access, await placeOf(access, 'acme/api'), want()));
    expect(error.message).toContain('reachable over the public Internet');
  });
});

describe('where a GitHub webhook hangs', () => {
  test('a repository that was renamed is found by its old name, for every change', async () => {
    const linked = await linkGithub();
    const place = await placeOf(linked.access, 'acme/api');
    renameRepository(linked.github.state, 'acme/api', 'acme/interface');
    const hook = await admin.create(linked.access, place, want());
    await admin.update(linked.access, place, hook, want({ secret: new Secret(second), events: ['release'] }));
    expect(hookOf(linked, 'acme/interface')).toMatchObject({ secret: second, events: ['release'] });
    expect(await admin.list(linked.access, place)).toHaveLength(1);
    expect(await admin.remove(linked.access, place, hook.id)).toBe('removed');
  });

  test('the old name of one repository that leads to another changes nothing there', async () => {
    const { access, github, session } = await linkGithub();
    const place = await placeOf(access, 'acme/api');
    renameRepository(github.state, 'acme/api', 'acme/interface');
    const other = { ...place, repository: { ...place.repository, id: '999' } } as const;
    expect(await session.fail(admin.create(access, other, want()))).toBeInstanceOf(ForbiddenError);
    expect(github.hooksOf('acme/interface')).toEqual([]);
  });

  test('§5.4: whoever is no admin is told so, not that there is nothing', async () => {
    const { access, session } = await linkGithub({}, { user: 'bob' });
    const error = (await session.fail(admin.list(access, await placeOf(access, 'acme/api')))) as GitlinkError;
    expect(error.code).toBe('forbidden');
    expect(error.message).toContain('role admin');
  });

  test.each([
    ['somebody who does not own it', {}, { user: 'bob' }, 'owners of the organization'],
    ['a token without the scope', {}, { scopes: ['repo'] }, 'admin:org_hook'],
  ] as const)('an organization hides them from %s', async (_name, options, token, word) => {
    const { access, session } = await linkGithub(options, token);
    const error = (await session.fail(admin.list(access, acme))) as GitlinkError;
    expect(error.code).toBe('forbidden');
    expect(`${error.message} ${error.hint}`).toContain(word);
  });

  test('a person has no webhooks of all repositories', async () => {
    const { access, session } = await linkGithub();
    const error = await session.fail(admin.list(access, { level: 'namespace', namespace: 'ada' }));
    expect(error).toMatchObject({ code: 'forbidden', hint: 'Use --at repositories' });
  });

  test('an archived repository refuses, and says why', async () => {
    const { access, session } = await linkGithub();
    const error = await session.fail(admin.create(access, await placeOf(access, 'acme/legacy'), want()));
    expect(error.message).toContain('archived');
  });
});

describe('testing a GitHub webhook', () => {
  async function startReceiver(status: number) {
    const { base, seen } = await startServer((_request, response) => response.writeHead(status).end());
    return { url: `${base}/hook`, seen };
  }

  async function testAt(linked: LinkedGithub, target: string, place: WebhookPlace) {
    const hook = await admin.create(linked.access, place, want({ url: target }));
    await linked.github.settle();
    return admin.test?.(linked.access, place, hook.id);
  }

  const places = [
    ['a repository', (access: HostAccess): Promise<WebhookPlace> => placeOf(access, 'acme/empty')],
    ['an organization', (): Promise<WebhookPlace> => Promise.resolve(acme)],
  ] as const;

  test.each(places)('of %s delivers a ping that is signed with the secret', async (_name, find) => {
    const receiver = await startReceiver(204);
    const linked = await linkGithub(cloud);
    expect(await testAt(linked, receiver.url, await find(linked.access))).toEqual({ outcome: 'delivered' });
    // The one that greets every new hook, and the one that was asked for.
    expect(receiver.seen).toHaveLength(2);
    const { headers = {}, body = '' } = { ...receiver.seen.at(-1) };
    expect(headers['x-hub-signature-256']).toBe(
      `sha256=${createHmac('sha256', first).update(body).digest('hex')}`,
    );
  });

  test('is not mistaken for the ping that greeted the hook', async () => {
    const linked = await linkGithub();
    const looks = () => linked.github.requests.filter(({ path }) => path.endsWith('/deliveries')).length;
    const receiver = await startServer((_request, response, index) => {
      if (index === 0) return void response.writeHead(200).end();
      const waiting = setInterval(() => {
        // The list of before, and a look that comes too early.
        if (looks() < 2) return;
        clearInterval(waiting);
        response.writeHead(500).end();
      }, 5);
    });
    const place = await placeOf(linked.access, 'acme/api');
    expect(await testAt(linked, receiver.base, place)).toMatchObject({ outcome: 'failed' });
  });

  test('tells what the receiver answered', async () => {
    const receiver = await startReceiver(500);
    const linked = await linkGithub();
    const place = await placeOf(linked.access, 'acme/api');
    expect(await testAt(linked, receiver.url, place)).toEqual({
      outcome: 'failed',
      reason: 'the receiver answered 500',
    });
  });

  test('tells when nobody answered', async () => {
    const linked = await linkGithub();
    const place = await placeOf(linked.access, 'acme/api');
    expect(await testAt(linked, url, place)).toMatchObject({ outcome: 'failed' });
  });

  test('tells when the hook is gone', async () => {
    const { access } = await linkGithub();
    expect(await admin.test?.(access, await placeOf(access, 'acme/api'), '4711')).toEqual({
      outcome: 'failed',
      reason: 'the webhook is gone',
    });
  });
});
