import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { GiteaSimulatorOptions } from './gitea/server.ts';
import {
  callAs,
  createHook,
  forgejo,
  gitea122,
  gitea126,
  hookBody,
  hooksOfSite,
  messageOf,
  start,
  startReceiver,
} from './gitea-kit.ts';

describe('webhooks', () => {
  test.each([
    ['a repository', hooksOfSite],
    ['an organization', '/api/v1/orgs/acme/hooks'],
    ['a user', '/api/v1/user/hooks'],
  ])('of %s are inactive unless told, and never show their secret', async (_, path) => {
    const simulator = await start();
    const call = callAs(simulator, ['all']);
    const silent = { ...hookBody, active: undefined };
    expect(await createHook(call, silent, path)).toMatchObject({ active: false });
    const hook = await createHook(call, hookBody, path);
    expect(hook).toMatchObject({ active: true });
    const texts = [JSON.stringify(hook), (await call(path)).text, (await call(`${path}/${hook.id}`)).text];
    for (const text of texts) expect(text).not.toContain('canary-old');
    expect((await call(`${path}/${hook.id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await call(`${path}/${hook.id}`, { method: 'DELETE' })).status).toBe(404);
    simulator.assertNoFailures();
  });

  test('PATCH takes a new secret without an error and keeps the old one', async () => {
    const receiver = await startReceiver();
    const simulator = await start();
    const call = callAs(simulator, ['all']);
    const { id } = await createHook(call, { ...hookBody, config: { ...hookBody.config, url: receiver.url } });
    const config = { url: receiver.url, secret: 'canary-new' };
    expect((await call(`${hooksOfSite}/${id}`, { method: 'PATCH', json: { config } })).status).toBe(200);
    expect((await call(`${hooksOfSite}/${id}/tests`, { method: 'POST' })).status).toBe(204);
    await simulator.settle();
    const [delivery] = receiver.received;
    const sign = (secret: string) =>
      createHmac('sha256', secret)
        .update(delivery?.body ?? '')
        .digest('hex');
    expect(delivery?.headers['x-gitea-signature']).toBe(sign('canary-old'));
    expect(delivery?.headers['x-hub-signature-256']).toBe(`sha256=${sign('canary-old')}`);
    expect(delivery?.headers['x-gitea-event']).toBe('push');
  });

  test('PATCH without events resets them, and clears branch filter and authorization header', async () => {
    const simulator = await start(gitea126);
    const call = callAs(simulator, ['all']);
    const { id } = await createHook(call);
    const edited = await call(`${hooksOfSite}/${id}`, { method: 'PATCH', json: { active: false } });
    expect(edited.json).toMatchObject({
      events: ['push'],
      branch_filter: '',
      authorization_header: '',
      active: false,
    });
  });

  test.each([
    ['Gitea 1.27', {}, ''],
    ['Gitea 1.26', gitea126, 'Bearer canary'],
    ['Forgejo', forgejo, 'Bearer canary'],
  ])('%s returns the authorization header as "%s%s"', async (_, options, shown) => {
    const call = callAs(await start(options), ['all']);
    expect(await createHook(call)).toMatchObject({ authorization_header: shown });
  });

  test.each([
    ['Gitea 1.27', {}, true, false],
    ['Gitea 1.22', gitea122, false, false],
    ['Forgejo', forgejo, false, true],
  ])('%s: names %s, config repeated %s', async (_, options, hasName, repeatsConfig) => {
    const call = callAs(await start(options), ['all']);
    const hook = await createHook(call, hasName ? { ...hookBody, name: 'gitlink' } : hookBody);
    expect('name' in hook).toBe(hasName);
    expect('url' in hook).toBe(repeatsConfig);
  });

  const issues = ['issue_assign', 'issue_comment', 'issue_label', 'issue_milestone', 'issues'];
  test.each<[string, GiteaSimulatorOptions, string[], string[]]>([
    ['nothing is push', {}, [], ['push']],
    ['unknown names vanish', {}, ['push', 'nonsense'], ['push']],
    ['only unknown names leave nothing', {}, ['nonsense'], []],
    ['a group is opened', {}, ['issues'], issues],
    ['a single event of a group', {}, ['issues_only'], ['issues']],
    ['reviews on new Gitea', {}, ['pull_request_review'], ['pull_request_review']],
    [
      'reviews on Forgejo',
      forgejo,
      ['pull_request_review'],
      ['pull_request_review_approved', 'pull_request_review_rejected'],
    ],
    ['Gitea knows no Forgejo event', {}, ['push', 'action_run_failure'], ['push']],
  ])('events: %s', async (_, options, sent, expected) => {
    const hook = await createHook(callAs(await start(options), ['all']), { ...hookBody, events: sent });
    expect([...hook.events].sort()).toEqual(expected);
  });

  test('events come back in another order than they went', async () => {
    const hook = await createHook(callAs(await start(), ['all']));
    expect(hook.events).toEqual(['release', 'push']);
  });

  test.each([
    ['a url that is none', { ...hookBody, config: { ...hookBody.config, url: 'nope' } }, 422, 'Invalid url'],
    [
      'no content type',
      { ...hookBody, config: { url: 'http://a.test' } },
      422,
      'Missing config option: content_type',
    ],
    [
      'an unknown content type',
      { ...hookBody, config: { url: 'http://a.test', content_type: 'xml' } },
      422,
      'Invalid content type',
    ],
  ])('%s is refused', async (_, body, status, message) => {
    const response = await callAs(await start(), ['all'])(hooksOfSite, { json: body });
    expect(response.status).toBe(status);
    expect(messageOf(response)).toBe(message);
  });

  test('who is no admin is told so, who sees nothing gets 404, and webhooks can be switched off', async () => {
    const simulator = await start();
    const bob = callAs(simulator, ['all'], 'token', 'bob');
    const refused = await bob(hooksOfSite);
    expect(refused.status).toBe(403);
    expect(messageOf(refused)).toBe(
      'user should be an owner or a collaborator with admin write of a repository',
    );
    expect((await bob('/api/v1/repos/ada/notes/hooks')).status).toBe(404);
    expect(messageOf(await bob('/api/v1/orgs/acme/hooks'))).toBe('Must be an organization owner');
    simulator.settings.disableWebhooks = true;
    expect(messageOf(await callAs(simulator, ['all'])(hooksOfSite))).toBe(
      'webhooks disabled by administrator',
    );
  });

  test('a target that the admin does not allow is taken and silently not reached', async () => {
    const receiver = await startReceiver();
    const simulator = await start({ settings: { allowedHosts: 'external' } });
    const call = callAs(simulator, ['all']);
    const { id } = await createHook(call, { ...hookBody, config: { ...hookBody.config, url: receiver.url } });
    expect((await call(`${hooksOfSite}/${id}/tests`, { method: 'POST' })).status).toBe(204);
    await simulator.settle();
    expect(receiver.received).toEqual([]);
    expect(simulator.deliveries[0]?.error).toContain('webhook can only call allowed HTTP servers');
  });

  test.each([
    ['Gitea 1.27', {}, 404],
    ['Gitea 1.26', gitea126, 204],
    ['Forgejo', forgejo, 404],
  ])('%s: a test of an empty repository is %s %i and sends nothing', async (_, options, status) => {
    const world = { users: [{ login: 'ada' }], repositories: [{ owner: 'ada', name: 'site', empty: true }] };
    const simulator = await start({ ...options, world });
    const call = callAs(simulator, ['all']);
    const { id } = await createHook(call);
    expect((await call(`${hooksOfSite}/${id}/tests`, { method: 'POST' })).status).toBe(status);
    expect(simulator.deliveries).toEqual([]);
  });

  test('a hook without a secret is delivered with empty signatures, by Forgejo under its own names too', async () => {
    const receiver = await startReceiver();
    const simulator = await start(forgejo);
    const call = callAs(simulator, ['all']);
    const config = { url: receiver.url, content_type: 'form' };
    const { id } = await createHook(call, { ...hookBody, type: 'forgejo', config });
    await call(`${hooksOfSite}/${id}/tests`, { method: 'POST' });
    await simulator.settle();
    const [{ headers, body } = { headers: {}, body: '' }] = receiver.received;
    expect(headers).toMatchObject({
      'x-forgejo-event': 'push',
      'x-gitea-signature': '',
      'x-hub-signature-256': 'sha256=',
      authorization: 'Bearer canary',
    });
    expect(JSON.parse(new URLSearchParams(body).get('payload') ?? '')).toMatchObject({
      ref: 'refs/heads/main',
    });
  });
});
