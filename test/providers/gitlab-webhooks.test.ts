import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ForbiddenError, UsageError } from '../../src/errors.ts';
import { HostAnswerError } from '../../src/http/host-answer-error.ts';
import type { WantedWebhook } from '../../src/providers/webhook-support.ts';
import { Secret } from '../../src/secret.ts';
import { startServer } from '../http/http-kit.ts';
import { admin, linkGitlab, only, placeOf, type LinkedGitlab } from './gitlab-kit.ts';

const hex = 'ab'.repeat(32);
const signing = `whsec_${Buffer.from(hex, 'hex').toString('base64')}`;
const url = 'http://127.0.0.1:9/hook';

function want(changes: Partial<WantedWebhook> = {}): WantedWebhook {
  return { url, events: ['push_events'], secret: new Secret(hex), successorOf: null, ...changes };
}

function hookOf({ gitlab }: LinkedGitlab, path = 'acme/api') {
  const [hook, ...others] = gitlab.hooksOf(path);
  if (!hook || others.length > 0) throw new Error(`${path} has ${others.length} more hooks.`);
  return hook;
}

/** A receiver of deliveries that answers as it is told, at first that all is well. */
async function startReceiver() {
  let status = 200;
  const { base, seen } = await startServer((_request, response) => response.writeHead(status).end());
  return { url: `${base}/hook`, seen, answerWith: (next: number) => (status = next) };
}

describe("a GitLab webhook's secret", () => {
  test('is kept in both forms, and signs what is delivered', async () => {
    const receiver = await startReceiver();
    const linked = await linkGitlab();
    const place = await placeOf(linked.access, 'acme/api');
    const hook = await admin.create(linked.access, place, want({ url: receiver.url }));
    expect(hookOf(linked)).toMatchObject({ token: hex, signingToken: signing });
    expect(await admin.test?.(linked.access, place, hook.id)).toEqual({ outcome: 'delivered' });
    const { headers = {}, body = '' } = { ...receiver.seen[0] };
    const text = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    const mac = createHmac('sha256', Buffer.from(hex, 'hex')).update(text).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${mac}`);
    expect(headers['x-gitlab-token']).toBe(hex);
  });

  test('has one form on servers that do not sign', async () => {
    const linked = await linkGitlab({ version: '18.11.0-ee' });
    await admin.create(linked.access, await placeOf(linked.access, 'acme/api'), want());
    expect(hookOf(linked)).toMatchObject({ token: hex, signingToken: null });
    const sent = linked.gitlab.requests.find(({ method }) => method === 'POST');
    expect(sent?.body).not.toHaveProperty('signing_token');
  });

  test('stays when something else changes', async () => {
    const linked = await linkGitlab();
    const place = await placeOf(linked.access, 'acme/api');
    const hook = await admin.create(linked.access, place, want());
    await admin.update(linked.access, place, hook, want({ secret: null, events: ['releases_events'] }));
    expect(hookOf(linked)).toMatchObject({ token: hex, signingToken: signing, url });
  });

  test('would be lost with another address, so that is refused without a new one', async () => {
    const linked = await linkGitlab();
    const { access, session } = linked;
    const place = await placeOf(access, 'acme/api');
    const hook = await admin.create(access, place, want());
    const elsewhere = want({ url: `${url}2`, secret: null });
    expect(await session.fail(admin.update(access, place, hook, elsewhere))).toBeInstanceOf(ForbiddenError);
    expect(hookOf(linked)).toMatchObject({ token: hex, url });
    await admin.update(access, place, hook, { ...elsewhere, secret: new Secret('cd'.repeat(32)) });
    expect(hookOf(linked)).toMatchObject({ token: 'cd'.repeat(32), url: `${url}2` });
  });

  test('of another form does not leave an old signing token behind unsaid', async () => {
    const linked = await linkGitlab();
    const place = await placeOf(linked.access, 'acme/api');
    const words = new Secret('a-secret-that-a-person-chose-canary');
    const hook = await admin.create(linked.access, place, want({ secret: words }));
    expect(hookOf(linked)).toMatchObject({ token: words.reveal(), signingToken: null });
    await admin.update(linked.access, place, hook, want());
    const error = await linked.session.fail(
      admin.update(linked.access, place, hook, want({ secret: words })),
    );
    expect(error.message).toContain('64 hex digits');
  });
});

describe("a GitLab webhook's events", () => {
  test('are those that were asked for and no other, also on a change', async () => {
    const linked = await linkGitlab();
    const place = await placeOf(linked.access, 'acme/api');
    const hook = await admin.create(linked.access, place, want({ events: ['releases_events'] }));
    expect([...hookOf(linked).events]).toEqual(['releases_events']);
    hookOf(linked).events = new Set(['issues_events', 'push_events']);
    await admin.update(
      linked.access,
      place,
      only(await admin.list(linked.access, place)),
      want({ events: ['note_events'] }),
    );
    expect([...hookOf(linked).events]).toEqual(['note_events']);
    expect(hook.events).toEqual(['releases_events']);
  });

  test('of another host are refused before anything is sent', async () => {
    const linked = await linkGitlab();
    const place = await placeOf(linked.access, 'acme/api');
    const error = await linked.session.fail(
      admin.create(linked.access, place, want({ events: ['pull_request'] })),
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(linked.gitlab.hooksOf('acme/api')).toEqual([]);
  });
});

describe("a GitLab webhook's other settings", () => {
  test('F11: survive a change', async () => {
    const linked = await linkGitlab();
    const { access } = linked;
    const place = await placeOf(access, 'acme/api');
    await admin.create(access, place, want());
    const kept = {
      description: 'for the build',
      enableSslVerification: false,
      pushEventsBranchFilter: 'release/*',
      customWebhookTemplate: '{"x":1}',
      customHeaders: { 'x-team': 'canary' },
    };
    Object.assign(hookOf(linked), kept);
    await admin.update(
      access,
      place,
      only(await admin.list(access, place)),
      want({ secret: new Secret('cd'.repeat(32)) }),
    );
    expect(hookOf(linked)).toMatchObject({ ...kept, name: 'gitlink', token: 'cd'.repeat(32) });
  });

  test('an address with variables is left alone', async () => {
    const linked = await linkGitlab();
    const { access, session } = linked;
    const place = await placeOf(access, 'acme/api');
    await admin.create(access, place, want());
    Object.assign(hookOf(linked), { url: 'http://127.0.0.1:9/{key}', urlVariables: { key: 'canary' } });
    const hook = only(await admin.list(access, place));
    const error = await session.fail(admin.update(access, place, hook, want({ url: hook.url })));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(hookOf(linked)).toMatchObject({ urlVariables: { key: 'canary' }, token: hex });
  });

  test("the name marks gitlink's hooks where hooks have names", async () => {
    const named = await linkGitlab();
    const place = await placeOf(named.access, 'acme/api');
    const hook = await admin.create(named.access, place, want());
    expect(admin.isMarked(named.access, hook)).toBe(true);
    hookOf(named).name = null;
    expect(admin.isMarked(named.access, only(await admin.list(named.access, place)))).toBe(false);
    const nameless = await linkGitlab({ version: '16.11.0-ee' });
    const other = await placeOf(nameless.access, 'acme/api');
    const first = await admin.create(nameless.access, other, want());
    expect(admin.isMarked(nameless.access, first)).toBeNull();
  });
});

describe('a GitLab webhook that was disabled', () => {
  async function startFailing(version: string, answer: number) {
    const receiver = await startReceiver();
    receiver.answerWith(answer);
    const linked = await linkGitlab({ version });
    const place = await placeOf(linked.access, 'acme/api');
    await admin.create(linked.access, place, want({ url: receiver.url }));
    for (let failure = 0; failure < 4; failure += 1) {
      expect(await admin.test?.(linked.access, place, String(hookOf(linked).id))).toEqual({
        outcome: 'failed',
        reason: `the receiver answered ${answer}`,
      });
    }
    const hook = only(await admin.list(linked.access, place));
    expect(hook.active).toBe(false);
    const wanted = want({ url: receiver.url });
    return { receiver, linked, hook, update: () => admin.update(linked.access, place, hook, wanted) };
  }

  test('wakes with a test that the receiver accepts', async () => {
    const { receiver, linked, update } = await startFailing('17.3.0-ee', 401);
    receiver.answerWith(204);
    expect(await update()).toMatchObject({ active: true });
    expect(hookOf(linked).disabledUntil).toBe(0);
  });

  test('says so when it stays disabled', async () => {
    const { linked, update } = await startFailing('17.3.0-ee', 401);
    const error = await linked.session.fail(update());
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain('the receiver answered 401');
    expect(hookOf(linked).token).toBe(hex);
  });

  test('for a while is tried again by GitLab', async () => {
    const { linked, update } = await startFailing('19.6.0-ee', 401);
    expect(await update()).toMatchObject({ active: false });
    expect(hookOf(linked).disabledUntil).not.toBe(Infinity);
  });
});

describe('testing a GitLab webhook', () => {
  test('says why it could not be', async () => {
    const linked = await linkGitlab({ settings: { maxHookTests: 1 } });
    const { access } = linked;
    const place = await placeOf(access, 'acme/api');
    const { id } = await admin.create(access, place, want());
    expect(await admin.test?.(access, place, '9999')).toEqual({
      outcome: 'failed',
      reason: 'the webhook is gone',
    });
    expect(await admin.test?.(access, place, id)).toEqual({
      outcome: 'failed',
      reason: 'the receiver did not answer',
    });
    expect(await admin.test?.(access, place, id)).toMatchObject({
      outcome: 'untestable',
      reason: expect.stringContaining('5 tests a minute') as string,
    });
    const empty = await placeOf(access, 'acme/platform/empty');
    const there = await admin.create(access, empty, want());
    expect(await admin.test?.(access, empty, there.id)).toMatchObject({ outcome: 'untestable' });
  });

  test('takes GitLab 16.11', async () => {
    const { access } = await linkGitlab({ version: '16.10.0-ee' });
    const place = await placeOf(access, 'acme/api');
    const { id } = await admin.create(access, place, want());
    expect(await admin.test?.(access, place, id)).toMatchObject({
      outcome: 'untestable',
      reason: expect.stringContaining('16.11') as string,
    });
  });

  test('is believed where nothing is kept of deliveries', async () => {
    const receiver = await startReceiver();
    const { access } = await linkGitlab({ version: '17.2.0-ee' });
    const place = await placeOf(access, 'acme/api');
    const { id } = await admin.create(access, place, want({ url: receiver.url }));
    expect(await admin.test?.(access, place, id)).toEqual({ outcome: 'delivered' });
  });
});

describe('GitLab webhooks that are refused', () => {
  test('a local address is explained, and nothing was done', async () => {
    const linked = await linkGitlab({ settings: { allowsLocalWebhooks: false } });
    const place = await placeOf(linked.access, 'acme/api');
    const error = await linked.session.fail(admin.create(linked.access, place, want()));
    expect(error).toBeInstanceOf(HostAnswerError);
    expect(error).toMatchObject({
      status: 422,
      hostMessage: expect.stringContaining('Outbound requests') as string,
    });
    expect(linked.gitlab.hooksOf('acme/api')).toEqual([]);
  });

  test('one too many is told in the words of the host', async () => {
    const linked = await linkGitlab({ settings: { maxProjectHooks: 0 } });
    const place = await placeOf(linked.access, 'acme/api');
    const error = await linked.session.fail(admin.create(linked.access, place, want()));
    expect(error.message).toContain('Maximum number of project hooks');
  });
});

describe('webhooks of GitLab groups', () => {
  const place = { level: 'namespace', namespace: 'acme/platform' } as const;

  test('are made, changed, tested and removed like those of projects', async () => {
    const receiver = await startReceiver();
    const linked = await linkGitlab();
    const { access } = linked;
    const wanted = want({ url: receiver.url, events: ['push_events', 'subgroup_events'] });
    const hook = await admin.create(access, place, wanted);
    expect(hookOf(linked, 'acme/platform')).toMatchObject({ token: hex, signingToken: signing });
    expect(await admin.test?.(access, place, hook.id)).toEqual({ outcome: 'delivered' });
    expect(await admin.update(access, place, hook, { ...wanted, events: ['push_events'] })).toMatchObject({
      id: hook.id,
    });
    expect(await admin.remove(access, place, hook.id)).toBe('removed');
    expect(await admin.remove(access, place, hook.id)).toBe('gone');
    expect(
      await linked.session.fail(admin.remove(access, { ...place, namespace: 'nobody' }, '1')),
    ).toBeInstanceOf(ForbiddenError);
  });

  test.each([
    ['without a licence', { settings: { hasLicence: false } }, 'acme'],
    ['in the community edition', { version: '19.6.0' }, 'acme'],
    ['without the role', {}, 'others'],
  ])('%s it says what they take', async (_name, options, namespace) => {
    const { access, session } = await linkGitlab(options);
    const error = await session.fail(admin.list(access, { level: 'namespace', namespace }));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain('Premium');
  });

  test("missing permission at a project is the host's own word", async () => {
    const { access, session } = await linkGitlab({}, { scopes: ['read_api'] });
    const error = await session.fail(admin.create(access, await placeOf(access, 'acme/api'), want()));
    expect(error).toMatchObject({ status: 403 });
  });
});
