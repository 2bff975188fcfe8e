import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  callAs,
  callBy,
  callWith,
  createHook,
  errorWith,
  hookBody,
  hooksOfApi,
  installApp,
  linkOf,
  mint,
  start,
  startCloud,
  startReceiver,
} from './github-kit.ts';
import { signIn } from './github-oauth-kit.ts';
import type { GotResponse } from './send-request.ts';

const hooksOfAcme = '/orgs/acme/hooks';
const admin = { scopes: ['repo', 'admin:org_hook'] };

function messageOf({ status, json }: GotResponse): unknown {
  expect(status).toBe(422);
  const { errors, message } = json as { errors?: { message?: string }[]; message: string };
  return errors?.[0]?.message ?? message;
}

describe('a webhook', () => {
  test.each([
    ['a repository', hooksOfApi],
    ['an organization', hooksOfAcme],
  ])('of %s shows that it has a secret, never which, and goes once', async (_, path) => {
    const simulator = await start();
    const call = callWith(simulator, admin);
    const made = await call(path, { json: hookBody });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      name: 'web',
      active: true,
      events: ['push'],
      config: { url: hookBody.config.url, content_type: 'json', insecure_ssl: '0', secret: '********' },
    });
    const { id } = made.json as { id: number };
    await simulator.settle();
    const one = `${path}/${id}`;
    for (const { text } of [made, await call(path), await call(one), await call(`${one}/config`)])
      expect(text).not.toContain('canary-old');
    expect(simulator.hookSecret(path === hooksOfApi ? 'acme/api' : 'acme', id)).toBe('canary-old');
    expect((await call(one, { method: 'DELETE' })).status).toBe(204);
    expect((await call(one, { method: 'DELETE' })).json).toEqual(errorWith(404, 'Not Found'));
    simulator.assertNoFailures();
  });

  test('falls back to pushes as a form; without a secret the field is not there', async () => {
    const simulator = await start();
    const { json } = await callWith(simulator)(hooksOfApi, {
      json: { config: { url: hookBody.config.url } },
    });
    expect(json).toMatchObject({
      events: ['push'],
      config: { content_type: 'form' },
      last_response: { code: null },
    });
    expect((json as { config: object }).config).not.toHaveProperty('secret');
    simulator.assertNoFailures();
  });

  test('loses its secret to a config without one, and keeps all the rest by the config alone', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const { id } = await createHook(call);
    const one = `${hooksOfApi}/${id}`;
    const patch = (path: string, json: object) => call(path, { method: 'PATCH', json });
    await patch(one, { active: false });
    expect(simulator.hookSecret('acme/api', id)).toBe('canary-old');
    const rotated = await patch(`${one}/config`, { secret: 'canary-new' });
    expect(rotated.json).toEqual({ ...hookBody.config, secret: '********' });
    expect(simulator.hookSecret('acme/api', id)).toBe('canary-new');
    const { url } = hookBody.config;
    expect((await patch(one, { config: { url } })).json).toMatchObject({ config: { content_type: 'form' } });
    expect(simulator.hookSecret('acme/api', id)).toBeNull();
    const events = await patch(one, { add_events: ['release'], remove_events: ['push'] });
    expect(events.json).toMatchObject({ events: ['release'], active: false });
    simulator.assertNoFailures();
  });

  test.each<[string, object, string]>([
    ['the same again', hookBody, 'Hook already exists on this repository'],
    ['the same with more events', { ...hookBody, events: ['push', 'release'] }, 'Hook already exists'],
    ['another name', { ...hookBody, name: 'ci' }, 'name must be web'],
    ['no address', { config: {} }, 'url cannot be blank'],
    ['another scheme', { config: { url: 'ftp://ci.example/' } }, 'url must be a valid URL'],
    ['another type', { config: { url: 'https://ci.example', content_type: 'xml' } }, 'content_type'],
    ['an event of apps', { ...hookBody, events: ['installation'] }, 'unknown event'],
  ])('is refused: %s', async (_, json, message) => {
    const simulator = await start();
    const call = callWith(simulator);
    await createHook(call);
    expect(messageOf(await call(hooksOfApi, { json }))).toContain(message);
    simulator.assertNoFailures();
  });

  test('of an organization must be named', async () => {
    const simulator = await start();
    const refused = await callWith(simulator, admin)(hooksOfAcme, { json: { config: hookBody.config } });
    expect(messageOf(refused)).toContain('name must be web');
    expect(() => simulator.assertNoFailures()).toThrow('body.name is missing');
  });

  test('no more than 20 for one event', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const to = (index: number) => ({
      ...hookBody,
      active: false,
      config: { url: `https://ci.example/${index}` },
    });
    for (let index = 0; index < 20; index += 1) await createHook(call, to(index));
    const refused = await call(hooksOfApi, { json: to(20) });
    expect(messageOf(refused)).toBe('The "push" event cannot have more than 20 hooks');
    expect((await call(hooksOfApi, { json: { ...to(20), events: ['release'] } })).status).toBe(201);
    const next = linkOf(await call(`${hooksOfApi}?per_page=20`), 'next');
    expect(next).toMatch(/\/repositories\/\d+\/hooks\?/);
    expect((await call(next ?? '')).json).toHaveLength(1);
    simulator.assertNoFailures();
  });

  test('to this machine: refused by github.com', async () => {
    const simulator = await startCloud();
    const refused = await callWith(simulator)(hooksOfApi, { json: hookBody });
    expect(messageOf(refused)).toContain("isn't reachable over the public Internet");
    simulator.assertNoFailures();
  });

  test('is there for admins alone, and fixed where the repository is archived', async () => {
    const simulator = await start();
    expect((await callWith(simulator, { user: 'bob' })(hooksOfApi)).json).toEqual(
      errorWith(404, 'Not Found'),
    );
    const call = callWith(simulator);
    expect((await call('/repos/acme/legacy/hooks')).status).toBe(200);
    const refused = await call('/repos/acme/legacy/hooks', { json: hookBody });
    expect(refused.json).toEqual(errorWith(403, 'Repository was archived so is read-only.'));
    simulator.assertNoFailures();
  });

  test('of an organization is seen by the sort of its maker: an OAuth App its own, all others the rest', async () => {
    const simulator = await start();
    const scope = 'repo admin:org_hook';
    const [one, two] = [simulator.oauth.addApplication(), simulator.oauth.addApplication()];
    const person = callWith(simulator, admin);
    const first = callBy(simulator, (await signIn(simulator, one, { scope })).access_token);
    const second = callBy(simulator, (await signIn(simulator, two, { scope })).access_token);
    const config = (name: string) => ({ ...hookBody, config: { url: `https://ci.example/${name}` } });
    await createHook(person, config('person'), hooksOfAcme);
    const { id } = await createHook(first, config('first'), hooksOfAcme);
    const urlsOf = async (call: typeof first) =>
      ((await call(hooksOfAcme)).json as { config: { url: string } }[]).map((hook) => hook.config.url);
    expect(await urlsOf(person)).toEqual(['https://ci.example/person']);
    expect(await urlsOf(first)).toEqual(['https://ci.example/first']);
    expect(await urlsOf(second)).toEqual([]);
    expect((await person(`${hooksOfAcme}/${id}`)).status).toBe(404);
    expect(simulator.hooksOf('acme')).toHaveLength(2);
    simulator.assertNoFailures();
  });

  test('of an organization is for owners with the scope, and for apps that may', async () => {
    const simulator = await start();
    expect((await callWith(simulator)(hooksOfAcme)).status).toBe(404);
    expect((await callWith(simulator, { ...admin, user: 'bob' })(hooksOfAcme)).status).toBe(404);
    const fine = { kind: 'fineGrained', resourceOwner: 'acme' } as const;
    expect((await callWith(simulator, fine)(hooksOfAcme)).status).toBe(403);
    const permissions = { organization_hooks: 'write' };
    expect((await callWith(simulator, { ...fine, permissions })(hooksOfAcme)).status).toBe(200);
    const without = callBy(simulator, await mint(simulator, installApp(simulator)));
    expect((await without(hooksOfAcme)).status).toBe(403);
    const app = installApp(simulator, { name: 'wide-canary', owner: 'acme', permissions });
    expect((await callBy(simulator, await mint(simulator, app))(hooksOfAcme)).status).toBe(200);
    simulator.assertNoFailures();
  });
});

describe('a delivery', () => {
  test('is signed over its bytes, listed, and can be had again under its number', async () => {
    const receiver = await startReceiver();
    const simulator = await start();
    const call = callWith(simulator);
    const { id } = await createHook(call, { ...hookBody, config: { ...hookBody.config, url: receiver.url } });
    const one = `${hooksOfApi}/${id}`;
    await simulator.settle();
    expect((await call(`${one}/tests`, { method: 'POST' })).status).toBe(204);
    await simulator.settle();
    const [ping, push] = receiver.received;
    expect(ping?.headers['x-github-event']).toBe('ping');
    const signature = createHmac('sha256', 'canary-old')
      .update(push?.body ?? '')
      .digest('hex');
    expect(push?.headers).toMatchObject({
      'x-github-event': 'push',
      'x-hub-signature-256': `sha256=${signature}`,
      'x-github-hook-id': String(id),
      'x-github-hook-installation-target-type': 'repository',
      'x-github-enterprise-host': '127.0.0.1',
    });
    expect((await call(one)).json).toMatchObject({ last_response: { code: 200, status: 'active' } });
    const list = await call(`${one}/deliveries?per_page=1&status=success`);
    const [newest] = list.json as { id: number; guid: string; event: string; status_code: number }[];
    expect(newest).toMatchObject({
      event: 'push',
      status_code: 200,
      guid: push?.headers['x-github-delivery'],
    });
    const next = linkOf(list, 'next') ?? '';
    expect(next).toContain('cursor=');
    expect((await call(next)).json).toMatchObject([{ event: 'ping' }]);
    const again = await call(`${one}/deliveries/${newest?.id}/attempts`, { method: 'POST' });
    expect(again.status).toBe(202);
    await simulator.settle();
    expect(receiver.received[2]?.headers['x-github-delivery']).toBe(newest?.guid);
    const whole = await call(`${one}/deliveries/${newest?.id}`);
    expect(whole.json).toMatchObject({ request: { payload: { ref: 'refs/heads/main' } } });
    simulator.settings.clockOffsetMs = 3 * 86_400_000;
    expect((await call(`${one}/deliveries`)).json).toEqual([]);
    simulator.assertNoFailures();
  });

  test('a test says the same where nothing is sent: no push wanted, or nothing pushed yet', async () => {
    const receiver = await startReceiver();
    const simulator = await start();
    const call = callWith(simulator);
    const config = { url: receiver.url };
    const release = await createHook(call, { config, events: ['release'], active: false });
    expect((await call(`${hooksOfApi}/${release.id}/tests`, { method: 'POST' })).status).toBe(204);
    const empty = await createHook(call, { config, active: false }, '/repos/acme/empty/hooks');
    expect((await call(`/repos/acme/empty/hooks/${empty.id}/tests`, { method: 'POST' })).status).toBe(204);
    await simulator.settle();
    expect(receiver.received).toEqual([]);
    simulator.assertNoFailures();
  });

  test('that reaches nobody is neither a success nor a failure', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const { id } = await createHook(call);
    await simulator.settle();
    const path = `${hooksOfApi}/${id}/deliveries`;
    expect((await call(path)).json).toMatchObject([{ status_code: 0, event: 'ping' }]);
    for (const status of ['success', 'failure'])
      expect((await call(`${path}?status=${status}`)).json).toEqual([]);
    simulator.assertNoFailures();
  });

  test('of a form is signed as the form that it is', async () => {
    const receiver = await startReceiver();
    const simulator = await start();
    await createHook(callWith(simulator), { config: { url: receiver.url, secret: 'canary-old' } });
    await simulator.settle();
    const [ping] = receiver.received;
    expect(ping?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(new URLSearchParams(ping?.body).get('payload')).toContain('"hook_id"');
    const signature = createHmac('sha256', 'canary-old')
      .update(ping?.body ?? '')
      .digest('hex');
    expect(ping?.headers['x-hub-signature-256']).toBe(`sha256=${signature}`);
  });
});

describe('the webhook of an app', () => {
  test('is changed by the app, and there is none where none was made', async () => {
    const receiver = await startReceiver();
    const simulator = await start();
    const created = installApp(simulator, { owner: 'acme', events: ['push'] });
    const call = callAs(simulator, created);
    expect((await call('/app/hook/config')).status).toBe(404);
    simulator.addAppHook(created.app, { url: 'http://127.0.0.1:9/', secret: 'canary-old' });
    expect((await call('/app/hook/config')).json).toMatchObject({ secret: '********', content_type: 'json' });
    const json = { url: receiver.url, secret: 'canary-new' };
    expect((await call('/app/hook/config', { method: 'PATCH', json })).json).toMatchObject({
      url: receiver.url,
    });
    expect(created.app.hook?.secret).toBe('canary-new');
    simulator.announcePush('acme/api', 'ada');
    await simulator.settle();
    expect(receiver.received[0]?.headers).toMatchObject({
      'x-github-event': 'push',
      'x-github-hook-installation-target-type': 'integration',
    });
    const deliveries = await call('/app/hook/deliveries?per_page=1');
    expect(deliveries.json).toMatchObject([{ event: 'push', installation_id: created.installation.id }]);
    const [{ id } = { id: 0 }] = deliveries.json as { id: number }[];
    expect((await call(`/app/hook/deliveries/${id}/attempts`, { method: 'POST' })).status).toBe(202);
    simulator.assertNoFailures();
  });
});
