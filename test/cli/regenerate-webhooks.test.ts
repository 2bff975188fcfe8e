import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renameRepository, smallWorld } from '../simulators/gitea/world.ts';
import { createLinked, usualScopes } from '../support/linked.ts';
import {
  addHook,
  createHooks,
  expectOneHookEach,
  fourNames,
  fourRepositories,
  listHooks,
  listWrites,
  outcomesOf,
  readSecret,
  receiverUrl,
  regenerate,
  until,
  type WebhookDocument,
} from './webhooks-kit.ts';

const allowed = ['acme/api', 'ada/notes', 'ada/site'];
/** Versions that differ in what they tell of a hook. */
const hosts = [
  ['Gitea 1.27', {}],
  ['Gitea 1.24, whose hooks have no names', { version: '1.24.0' }],
  ['Forgejo', { flavour: 'forgejo' }],
] as const;

describe('regenerate-webhooks makes webhooks', () => {
  test('one in every repository that the account administers, with the secret that the receiver gets', async () => {
    const linked = await createLinked();
    const { gitea, sandbox } = linked;
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(await readSecret(sandbox)).toBe(expectOneHookEach(gitea, allowed));
    const [hook] = gitea.hooksOf('ada/site');
    expect(hook?.secret).toMatch(/^[0-9a-f]{64}$/);
    expect(hook).toMatchObject({ contentType: 'json', name: 'gitlink', type: 'gitea' });
    expect(new Set(hook?.events.filter((event) => !event.startsWith('pull_request_')))).toEqual(
      new Set(['push', 'pull_request']),
    );
    expect(run.stderr).toContain('The receiver needs the secret: gitlink webhook-secret gitea');
  });

  test('the JSON document tells every repository, those left alone with the reason', async () => {
    const linked = await createLinked();
    const run = await regenerate(linked, ['--url', receiverUrl]);
    const hookId = expect.stringMatching(/^\d+$/) as string;
    const done = { action: 'create', state: 'confirmed', reason: null, hookId };
    const left = { action: 'skip', state: 'skipped', hookId: null };
    expect(run.json()).toEqual({
      schema: 1,
      target: { url: receiverUrl, events: ['push', 'pull-request'], at: 'repositories' },
      results: [
        { repository: 'acme/api', ...done },
        { repository: 'acme/old', ...left, reason: 'archived' },
        { repository: 'ada/notes', ...done },
        { repository: 'ada/site', ...done },
        { repository: 'bob/tools', ...left, reason: 'forbidden: not an administrator of the repository' },
      ],
      summary: {
        created: 3,
        rotated: 0,
        repaired: 0,
        removed: 0,
        unchanged: 0,
        skipped: 2,
        failed: 0,
        unknown: 0,
      },
    });
  });

  test('the secret is in no other output and no file in clear', async () => {
    const linked = await createLinked();
    const { gitea, sandbox } = linked;
    const run = await regenerate(linked, ['--url', receiverUrl, '--verbose']);
    expect(run).toMatchObject({ exitCode: 0 });
    await sandbox.run(['show']);
    await sandbox.run(['list', '--json']);
    for (const [hook] of Object.values(listHooks(gitea))) sandbox.guard(hook?.secret ?? '');
  });

  test('without a terminal the table is tab-separated, without header', async () => {
    const { sandbox } = await createLinked({ gitea: { world: fourRepositories } });
    const run = await sandbox.run(['regenerate-webhooks', 'gitea', '--url', receiverUrl]);
    const rows = run.stdout.trimEnd().split('\n');
    expect(rows.map((row) => row.trimEnd())).toEqual(fourNames.map((name) => `${name}\tcreate\tconfirmed`));
  });

  test('only where the restriction allows, a repository by its id even after it was renamed', async () => {
    const linked = await createLinked({ link: ['--repo', 'ada/site', '--namespace', 'acme'] });
    renameRepository(linked.gitea.state, 'ada/site', 'ada/home');
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(outcomesOf(run)).toEqual({
      'acme/api': 'create confirmed',
      'acme/old': 'skip skipped',
      'ada/home': 'create confirmed',
    });
  });

  test('a place that is named twice gets one hook', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    const names = ['--repo', 'ada/site-0001', '--repo', 'ADA/Site-0001', '--namespace', 'ada,Ada'];
    const run = await regenerate(linked, ['--url', receiverUrl, ...names]);
    expect(run).toMatchObject({ exitCode: 0 });
    expectOneHookEach(linked.gitea, fourNames);
  });
});

describe('regenerate-webhooks rotates', () => {
  test.each(hosts)(
    'F11: %s: new before old, in three calls, with all that was set on the old one',
    async (_, gitea) => {
      const linked = await createLinked({ gitea: { world: fourRepositories, ...gitea } });
      const before = await createHooks(linked);
      for (const name of fourNames) {
        for (const hook of linked.gitea.hooksOf(name)) {
          Object.assign(hook, { branchFilter: 'release/*', contentType: 'form' });
        }
      }
      const run = await regenerate(linked);
      expect(run).toMatchObject({ exitCode: 0 });
      const after = expectOneHookEach(linked.gitea, fourNames);
      expect(after).not.toBe(before);
      expect(await readSecret(linked.sandbox)).toBe(after);
      for (const name of fourNames) {
        const calls = linked.gitea.requests.filter(({ path }) => path.includes(`/${name}/hooks`));
        expect(calls.map(({ method }) => method)).toEqual(['GET', 'POST', 'DELETE']);
        const [hook] = linked.gitea.hooksOf(name);
        expect(hook).toMatchObject({ branchFilter: 'release/*', contentType: 'form' });
      }
      expect(outcomesOf(run)['ada/site-0001']).toBe('rotate confirmed');
    },
  );

  test('where the host shows the authorization header it is carried over, too', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories, version: '1.26.2' } });
    await createHooks(linked);
    const [old] = linked.gitea.hooksOf('ada/site-0001');
    Object.assign(old ?? {}, { authorizationHeader: linked.sandbox.guard('Bearer canary-of-the-receiver') });
    expect(await regenerate(linked, ['--verbose'])).toMatchObject({ exitCode: 0 });
    const [hook] = linked.gitea.hooksOf('ada/site-0001');
    expect(hook).toMatchObject({ authorizationHeader: 'Bearer canary-of-the-receiver' });
  });

  test('a hook of another URL and more events moves there', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    const url = 'https://ci.acme.example/new';
    const run = await regenerate(linked, ['--url', url, '--events', 'push,release']);
    expect(run).toMatchObject({ exitCode: 0 });
    for (const name of fourNames) {
      const hooks = linked.gitea.hooksOf(name);
      expect(hooks.map((hook) => [hook.url, [...hook.events].sort()])).toEqual([[url, ['push', 'release']]]);
    }
    // And that is the link's target from now on.
    const { target } = (await regenerate(linked, ['--dry-run'])).json<WebhookDocument>();
    expect(target).toMatchObject({ url, events: ['push', 'release'] });
  });

  test('F11: a hook that was deleted by hand is made again, and the report says so', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    for (const hook of linked.gitea.hooksOf('ada/site-0002')) linked.gitea.state.hooks.remove(hook);
    const run = await regenerate(linked);
    const { results } = run.json<WebhookDocument>();
    expect(results[1]).toMatchObject({ action: 'create', reason: 'the one before had vanished' });
    expectOneHookEach(linked.gitea, fourNames);
  });

  test('a renamed repository keeps its hook, found by the repository’s id', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    renameRepository(linked.gitea.state, 'ada/site-0001', 'ada/home');
    expect(outcomesOf(await regenerate(linked))['ada/home']).toBe('rotate confirmed');
    expect(linked.gitea.hooksOf('ada/home')).toHaveLength(1);
  });

  test('after the journal was lost, hooks are recognised by their mark', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    const run = await regenerate(linked, [], { env: { XDG_STATE_HOME: join(linked.sandbox.home, 'fresh') } });
    expect(outcomesOf(run)['ada/site-0001']).toBe('rotate confirmed');
    expectOneHookEach(linked.gitea, fourNames);
  });
});

describe('regenerate-webhooks and hooks of the same URL', () => {
  test('where hooks have no names, those that somebody else made are not taken for ours', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories, flavour: 'forgejo' } });
    const byHand = [addHook(linked.gitea, 'ada/site-0001'), addHook(linked.gitea, 'ada/site-0001')];
    const removed = await regenerate(linked, ['--remove', '--url', receiverUrl]);
    expect(removed).toMatchObject({ exitCode: 0 });
    expect(linked.gitea.hooksOf('ada/site-0001')).toEqual(byHand);
    const plan = await regenerate(linked, ['--url', receiverUrl, '--dry-run']);
    expect(outcomesOf(plan)['ada/site-0001']).toBe('adopt planned');
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(run).toMatchObject({ exitCode: 0 });
    // One is adopted, the other reported and left.
    expect(linked.gitea.hooksOf('ada/site-0001')).toHaveLength(2);
    expect(linked.gitea.hooksOf('ada/site-0001')).toContainEqual(byHand[1]);
  });

  test('a rename during the run loses nothing', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories, latencyMs: 150 } });
    const running = regenerate(linked, ['--url', receiverUrl, '--concurrency', '1']);
    await until(() => linked.gitea.requests.some(({ method }) => method === 'POST'));
    expect(await linked.sandbox.run(['rename', 'gitea', 'work'])).toMatchObject({ exitCode: 0 });
    expect(await running).toMatchObject({ exitCode: 0 });
    expect((await linked.sandbox.run(['webhook-secret', 'work', '--previous'])).exitCode).toBe(5);
  });

  test('one that gitlink did not make is adopted, and the plan names it', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    addHook(linked.gitea, 'ada/site-0003', { contentType: 'form', name: 'made by hand' });
    const plan = await regenerate(linked, ['--url', receiverUrl, '--dry-run']);
    expect(outcomesOf(plan)['ada/site-0003']).toBe('adopt planned');
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(outcomesOf(run)['ada/site-0003']).toBe('adopt confirmed');
    expectOneHookEach(linked.gitea, fourNames);
    expect(linked.gitea.hooksOf('ada/site-0003')[0]).toMatchObject({ contentType: 'form' });
  });

  test('duplicates of gitlink go, those of others stay and are reported', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    addHook(linked.gitea, 'ada/site-0001', { name: 'gitlink' });
    const foreign = addHook(linked.gitea, 'ada/site-0002', { name: 'made by hand' });
    const elsewhere = addHook(linked.gitea, 'ada/site-0003', { url: `${receiverUrl}?other` });
    const run = await regenerate(linked);
    expect(run).toMatchObject({ exitCode: 0 });
    const [secret] = linked.gitea.hooksOf('ada/site-0004').map((hook) => hook.secret);
    const secretsOf = (name: string): string[] => linked.gitea.hooksOf(name).map((hook) => hook.secret);
    expect(secretsOf('ada/site-0001')).toEqual([secret]);
    expect(new Set(secretsOf('ada/site-0002'))).toEqual(new Set([secret, foreign.secret]));
    expect(linked.gitea.hooksOf('ada/site-0003')).toContain(elsewhere);
    const { results } = run.json<WebhookDocument>();
    expect(results[1]).toMatchObject({ reason: '1 other hook of this URL not made by gitlink' });
  });
});

describe('regenerate-webhooks --repair', () => {
  test('changes nothing where all is right', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    const run = await regenerate(linked, ['--repair']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(listWrites(linked.gitea)).toEqual([]);
    expect(new Set(Object.values(outcomesOf(run)))).toEqual(new Set(['unchanged confirmed']));
  });

  test('enables, completes, makes again and cleans up, with the same secret and one call each', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    const secret = await createHooks(linked);
    const { gitea } = linked;
    const [first, second, third] = fourNames.map((name) => gitea.hooksOf(name)[0]);
    Object.assign(first ?? {}, { active: false, branchFilter: 'main' });
    Object.assign(second ?? {}, { events: ['push'] });
    if (third) gitea.state.hooks.remove(third);
    addHook(gitea, 'ada/site-0004', { name: 'gitlink' });
    const run = await regenerate(linked, ['--repair']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(expectOneHookEach(gitea, fourNames)).toBe(secret);
    expect(gitea.hooksOf('ada/site-0001')[0]).toMatchObject({ id: first?.id, branchFilter: 'main' });
    expect(gitea.hooksOf('ada/site-0002')[0]?.events).toContain('pull_request');
    const { results } = run.json<WebhookDocument>();
    expect(results.map(({ action, reason }) => [action, reason])).toEqual([
      ['repair', 'disabled'],
      ['repair', 'events missing'],
      ['create', 'the one before had vanished'],
      ['repair', 'duplicated'],
    ]);
  });

  test('moves hooks to another URL in place, and the link remembers it', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    const ids = fourNames.map((name) => linked.gitea.hooksOf(name)[0]?.id);
    const url = 'https://ci.acme.example/new';
    expect(await regenerate(linked, ['--repair', '--url', url])).toMatchObject({ exitCode: 0 });
    expect(fourNames.map((name) => linked.gitea.hooksOf(name).map((hook) => [hook.id, hook.url]))).toEqual(
      ids.map((id) => [[id, url]]),
    );
    const { target } = (await regenerate(linked, ['--repair'])).json<WebhookDocument>();
    expect(target.url).toBe(url);
  });

  test('before there are hooks it is exit 5', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    expect(await regenerate(linked, ['--repair', '--url', receiverUrl])).toMatchObject({ exitCode: 5 });
    expect(listHooks(linked.gitea)).toEqual({});
  });
});

describe('regenerate-webhooks --dry-run', () => {
  test('prints what would be done and changes nothing, neither there nor here', async () => {
    const linked = await createLinked();
    await createHooks(linked);
    addHook(linked.gitea, 'ada/site', { name: 'gitlink' });
    const snapshot = (): Record<string, string> => readTree(linked.sandbox.home);
    const before = snapshot();
    const run = await regenerate(linked, ['--dry-run', '--url', 'https://ci.acme.example/new']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('Planned: 3 rotated, 2 skipped.');
    expect(outcomesOf(run)).toEqual({
      'acme/api': 'rotate planned',
      'acme/old': 'skip skipped',
      'ada/notes': 'rotate planned',
      'ada/site': 'rotate planned',
      'bob/tools': 'skip skipped',
    });
    expect(listWrites(linked.gitea)).toEqual([]);
    expect(snapshot()).toEqual(before);
  });
});

describe('regenerate-webhooks --remove', () => {
  test('takes gitlink’s hooks away and leaves those of others', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    await createHooks(linked);
    const foreign = addHook(linked.gitea, 'ada/site-0002', { name: 'made by hand' });
    for (const hook of linked.gitea.hooksOf('ada/site-0003')) linked.gitea.state.hooks.remove(hook);
    const run = await regenerate(linked, ['--remove']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.json<WebhookDocument>().summary).toMatchObject({ removed: 3, unchanged: 1, failed: 0 });
    expect(listHooks(linked.gitea)).toEqual({ 'ada/site-0002': [foreign] });
    expect(await readSecret(linked.sandbox)).toBeNull();
  });

  test('of a part keeps the secret for the rest', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    const secret = await createHooks(linked);
    const part = ['--remove', '--repo', 'ada/site-0001', '--repo', 'ada/site-0002'];
    expect(await regenerate(linked, part)).toMatchObject({ exitCode: 0 });
    expect(expectOneHookEach(linked.gitea, fourNames.slice(2))).toBe(secret);
    expect(await readSecret(linked.sandbox)).toBe(secret);
  });
});

describe('regenerate-webhooks --at namespace', () => {
  const scopes = [...usualScopes, 'write:organization'];
  const world = {
    ...smallWorld,
    organizations: [
      { name: 'acme', members: { ada: 'owner' } },
      { name: 'guild', members: { bob: 'owner', ada: 'write' } },
    ],
  } as const;

  test('one hook in each organization of which the account is an owner', async () => {
    const linked = await createLinked({ scopes, gitea: { world } });
    const args = ['--url', receiverUrl, '--at', 'namespace'];
    const run = await regenerate(linked, args);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toEqual({ acme: 'create confirmed', guild: 'skip skipped' });
    expect(run.json<WebhookDocument>().results[1]?.reason).toMatch(/^forbidden/);
    const { state } = linked.gitea;
    const hooksOf = (name: string) => state.hooks.at('organization', state.findOwner(name)?.id ?? 0);
    expect(hooksOf('acme')).toHaveLength(1);
    expect(listHooks(linked.gitea)).toEqual({});
    // The level is the link's from now on.
    expect(outcomesOf(await regenerate(linked))).toEqual({ acme: 'rotate confirmed', guild: 'skip skipped' });
    expect(hooksOf('acme').map((hook) => hook.secret)).toEqual([await readSecret(linked.sandbox)]);
  });

  test('is refused where it would reach further than the link may: exit 6', async () => {
    const linked = await createLinked({ scopes, link: ['--namespace', 'acme', '--repo', 'ada/site'] });
    const run = await regenerate(linked, ['--url', receiverUrl, '--at', 'namespace']);
    expect(run).toMatchObject({ exitCode: 6 });
    expect(listWrites(linked.gitea)).toEqual([]);
  });

  test.each([
    ['nowhere', 5, []],
    ['acme', 6, ['--namespace', 'ada']],
  ])('--namespace %s is exit %i', async (namespace, exitCode, restriction) => {
    const linked = await createLinked({ scopes, link: restriction });
    for (const at of ['namespace', 'repositories']) {
      const args = ['--url', receiverUrl, '--at', at, '--namespace', namespace];
      expect(await regenerate(linked, args)).toMatchObject({ exitCode });
    }
    expect(listWrites(linked.gitea)).toEqual([]);
  });

  test('without the scope nothing is made, and the refusal names it: exit 6', async () => {
    const linked = await createLinked();
    const run = await regenerate(linked, ['--url', receiverUrl, '--at', 'namespace']);
    expect(run).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('write:organization');
    expect(listWrites(linked.gitea)).toEqual([]);
  });
});

/** Every file below a directory with its content. */
function readTree(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  const paths = files.map((file) => join(file.parentPath, file.name));
  return Object.fromEntries(paths.map((path) => [path, readFileSync(path, 'latin1')]));
}
