import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError, UsageError } from '../../src/errors.ts';
import type { WantedWebhook } from '../../src/providers/webhook-support.ts';
import { Secret } from '../../src/secret.ts';
import { startServer } from '../http/http-kit.ts';
import { renameRepository, smallWorld } from '../simulators/bitbucket-dc/world.ts';
import { admin, linkDc, only, placeOf, type LinkedDc } from './bitbucket-dc-kit.ts';

const hex = 'ab'.repeat(32);
const url = 'http://127.0.0.1:9/hook';
const project = { level: 'namespace', namespace: 'ACME' } as const;

function want(changes: Partial<WantedWebhook> = {}): WantedWebhook {
  return { url, events: ['repo:refs_changed'], secret: new Secret(hex), successorOf: null, ...changes };
}

function hookOf({ dc }: LinkedDc, place = 'ACME/api') {
  const [hook, ...others] = dc.hooksOf(place);
  if (!hook || others.length > 0) throw new Error(`${place} has ${others.length} more hooks.`);
  return hook;
}

describe('webhooks of Data Center', () => {
  test("fact 9: hang at repositories and at projects, whose hooks are not the repositories' own", async () => {
    const linked = await linkDc();
    const hook = await admin.create(linked.access, project, want());
    expect(await admin.list(linked.access, project)).toEqual([hook]);
    expect(hookOf(linked, 'ACME').settings.configuration).toEqual({ secret: hex });
    expect(await admin.list(linked.access, await placeOf(linked.access, 'ACME/api'))).toEqual([]);
    expect(await admin.remove(linked.access, project, hook.id)).toBe('removed');
    expect(await admin.remove(linked.access, project, hook.id)).toBe('gone');
  });

  test('fact 9: servers before 8.8 have none at projects', async () => {
    const { access, session } = await linkDc({ version: '8.7.2' });
    expect(await session.fail(admin.list(access, project))).toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('8.8') as string,
    });
  });

  test('fact 5: one that the account may not manage is forbidden, and the token is not called bad', async () => {
    const linked = await linkDc({}, { permissions: ['PROJECT_WRITE', 'REPO_WRITE'] });
    const { access, session } = linked;
    const place = await placeOf(access, 'ACME/api');
    const work = [
      admin.list(access, place),
      admin.create(access, place, want()),
      admin.list(access, project),
    ];
    for (const error of await Promise.all(work.map((each) => session.fail(each)))) {
      expect(error).toBeInstanceOf(ForbiddenError);
    }
  });

  test('fact 5: with a dead token they say so', async () => {
    const linked = await linkDc();
    const place = await placeOf(linked.access, 'ACME/api');
    linked.dc.state.tokens.clear();
    expect(await linked.session.fail(admin.list(linked.access, place))).toBeInstanceOf(AuthError);
  });

  test('a project that keeps its settings is told apart from a missing permission', async () => {
    const projects = [
      { key: 'ACME', restrictsSettings: true },
      ...(smallWorld.projects ?? []).filter(({ key }) => key !== 'ACME'),
    ];
    const repositories = [{ path: 'ACME/api', members: { ada: 'admin' } as const }];
    const { access, session } = await linkDc({ world: { ...smallWorld, projects, repositories } });
    const place = await placeOf(access, 'ACME/api');
    expect(place.repository.canManageWebhooks).toBe(true);
    const error = await session.fail(admin.create(access, place, want()));
    expect(error).toMatchObject({ code: 'forbidden' });
    expect(error.message).toContain('restricted by its project');
  });

  test('F11: a change sends back the secret and everything else that the hook has', async () => {
    const linked = await linkDc();
    const place = await placeOf(linked.access, 'ACME/api');
    await admin.create(linked.access, place, want());
    const { settings } = hookOf(linked);
    hookOf(linked).settings = {
      ...settings,
      sslVerificationRequired: false,
      active: false,
      configuration: { ...settings.configuration, createdBy: 'somebody' },
    };
    const listed = only(await admin.list(linked.access, place));
    expect(JSON.stringify(listed)).not.toContain(hex);
    await admin.update(linked.access, place, listed, want({ secret: null, events: ['pr:opened'] }));
    expect(hookOf(linked).settings).toMatchObject({
      name: 'gitlink',
      url,
      active: true,
      events: ['pr:opened'],
      sslVerificationRequired: false,
      configuration: { secret: hex, createdBy: 'somebody' },
    });
  });

  test('F11: a secret that the host hides is not lost by a change, which is refused', async () => {
    const linked = await linkDc({ settings: { secretsMasked: true } });
    const place = await placeOf(linked.access, 'ACME/api');
    await admin.create(linked.access, place, want());
    const listed = only(await admin.list(linked.access, place));
    const change = admin.update(linked.access, place, listed, want({ secret: null }));
    expect(await linked.session.fail(change)).toBeInstanceOf(ForbiddenError);
    expect(hookOf(linked).settings.configuration).toEqual({ secret: hex });
    await admin.update(linked.access, place, listed, want({ secret: new Secret('cd'.repeat(32)) }));
    expect(hookOf(linked).settings.configuration).toEqual({ secret: 'cd'.repeat(32) });
  });

  test('a password that the host hides is not lost by a change either', async () => {
    const linked = await linkDc();
    const place = await placeOf(linked.access, 'ACME/api');
    await admin.create(linked.access, place, want());
    const credentials = { username: 'receiver', password: 'hook-canary' };
    hookOf(linked).settings = { ...hookOf(linked).settings, credentials };
    const listed = only(await admin.list(linked.access, place));
    const error = await linked.session.fail(admin.update(linked.access, place, listed, want()));
    expect(error.message).toContain('password');
    expect(hookOf(linked).settings.credentials).toEqual(credentials);
  });

  test('without a secret there is no word of one, which servers fail at', async () => {
    const linked = await linkDc();
    const place = await placeOf(linked.access, 'ACME/api');
    await admin.create(linked.access, place, want({ secret: null }));
    expect(hookOf(linked).settings.configuration).toEqual({});
  });

  test('an event of another host is refused before anything is sent', async () => {
    const linked = await linkDc();
    const place = await placeOf(linked.access, 'ACME/api');
    const error = await linked.session.fail(
      admin.create(linked.access, place, want({ events: ['pull_request'] })),
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(linked.dc.hooksOf('ACME/api')).toEqual([]);
  });

  test("another's hook of the same address is not gitlink's", async () => {
    const linked = await linkDc();
    const place = await placeOf(linked.access, 'ACME/api');
    await admin.create(linked.access, place, want());
    hookOf(linked).settings = { ...hookOf(linked).settings, name: 'gitlink 2' };
    expect(admin.isMarked(linked.access, only(await admin.list(linked.access, place)))).toBe(false);
  });

  test('are found by the id of a repository that was moved, also where its old address is forgotten', async () => {
    const linked = await linkDc();
    const { access, dc, session } = linked;
    const place = await placeOf(access, 'ACME/api');
    renameRepository(dc.state, 'ACME/api', 'WEB/interface');
    dc.state.findProject('WEB')?.members.set(dc.state.findUser('ada')?.id ?? 0, 4);
    const hook = await admin.create(access, place, want());
    expect(await admin.list(access, place)).toEqual([hook]);
    await admin.update(access, place, hook, want({ events: ['pr:merged'] }));
    expect(hookOf(linked, 'WEB/interface').settings.events).toEqual(['pr:merged']);
    expect(await admin.remove(access, place, hook.id)).toBe('removed');
    const gone = await session.fail(admin.update(access, place, hook, want()));
    expect(gone).toMatchObject({ code: 'notFound' });
  });

  test('the page of the hooks', () => {
    const page = (level: 'repository' | 'namespace', name: string) =>
      admin.pageUrl('https://h.dev/git', level, name);
    const servlet = 'https://h.dev/git/plugins/servlet/webhooks/projects';
    expect(page('repository', '~ada/notes')).toBe(`${servlet}/~ada/repos/notes`);
    expect(page('namespace', 'ACME')).toBe(`${servlet}/ACME`);
  });
});

describe('testing a webhook of Data Center', () => {
  test.each([
    [200, { outcome: 'delivered' }],
    [500, { outcome: 'failed', reason: 'the receiver answered 500' }],
  ] as const)('fact 9: a receiver that answers %i', async (status, outcome) => {
    const receiver = await startServer((_request, response) => response.writeHead(status).end());
    const { access } = await linkDc();
    for (const place of [await placeOf(access, 'ACME/api'), project]) {
      const hook = await admin.create(access, place, want({ url: `${receiver.base}/hook` }));
      expect(await admin.test?.(access, place, hook.id)).toEqual(outcome);
    }
    expect(receiver.seen[0]?.headers).toMatchObject({ 'x-event-key': 'diagnostics:ping' });
    expect(receiver.seen[0]?.headers['x-hub-signature']).toMatch(/^sha256=/);
  });

  test('fact 9: a receiver that is not there', async () => {
    const { access } = await linkDc();
    const place = await placeOf(access, 'ACME/api');
    const hook = await admin.create(access, place, want());
    expect(await admin.test?.(access, place, hook.id)).toEqual({
      outcome: 'failed',
      reason: 'the receiver did not answer',
    });
    await admin.remove(access, place, hook.id);
    expect(await admin.test?.(access, place, hook.id)).toMatchObject({ outcome: 'failed' });
  });
});
