import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { GitlabSimulatorOptions } from './gitlab/server.ts';
import { callWith, createHook, gitlab18, hookBody, hooksOfApi, start, startReceiver } from './gitlab-kit.ts';

const signingKey = Buffer.alloc(32, 'canary');
const signing_token = `whsec_${signingKey.toString('base64')}`;
const hooksOfAcme = '/api/v4/groups/acme/hooks';

describe('a webhook', () => {
  test.each([
    ['a project', hooksOfApi],
    ['a group', hooksOfAcme],
  ])(
    'of %s never shows its secrets, listens to pushes unless told otherwise, and goes once',
    async (_, path) => {
      const simulator = await start();
      const call = callWith(simulator);
      const made = await call(path, {
        json: { url: hookBody.url, token: 'canary-old', signing_token, name: 'gitlink:x' },
      });
      expect(made.status).toBe(201);
      expect(made.json).toMatchObject({
        push_events: true,
        tag_push_events: false,
        token_present: true,
        signing_token_present: true,
        name: 'gitlink:x',
        alert_status: 'executable',
      });
      const { id } = made.json as { id: number };
      for (const { text } of [made, await call(path), await call(`${path}/${id}`)])
        expect(text).not.toMatch(/canary-old|whsec/);
      expect((await call(`${path}/${id}`, { method: 'DELETE' })).status).toBe(204);
      expect((await call(`${path}/${id}`, { method: 'DELETE' })).json).toEqual({ message: '404 Not found' });
      simulator.assertNoFailures();
    },
  );

  test('edited changes only what is sent, but a new address drops secrets and headers', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const custom_headers = [{ key: 'X-A', value: 'canary' }];
    const { id } = await createHook(call, {
      ...hookBody,
      signing_token,
      tag_push_events: true,
      custom_headers,
    });
    const edit = async (json: object) => (await call(`${hooksOfApi}/${id}`, { method: 'PUT', json })).json;
    expect(
      await edit({ url: hookBody.url, push_events: false, custom_headers: [{ key: 'X-B', value: 'b' }] }),
    ).toMatchObject({
      push_events: false,
      tag_push_events: true,
      token_present: true,
      custom_headers: [{ key: 'X-A' }, { key: 'X-B' }],
    });
    expect(await edit({ url: `${hookBody.url}2`, signing_token })).toMatchObject({
      token_present: false,
      signing_token_present: true,
      custom_headers: [],
    });
    expect(await edit({})).toEqual({ error: 'No parameters provided' });
    simulator.assertNoFailures();
  });

  test('before 19.0 a signing token is ignored without a word', async () => {
    const simulator = await start(gitlab18);
    const hook = await createHook(callWith(simulator), { ...hookBody, signing_token });
    expect(hook).not.toHaveProperty('token_present');
    expect(simulator.hooksOf('acme/api')[0]?.signingToken).toBeNull();
    simulator.assertNoFailures();
  });

  test.each<[string, GitlabSimulatorOptions, object, object]>([
    [
      'a local address where it is not allowed',
      { settings: { allowsLocalWebhooks: false } },
      hookBody,
      { error: 'Invalid url given' },
    ],
    [
      'an address that does not exist',
      {},
      { url: 'https://nowhere.invalid/' },
      { error: 'Invalid url given' },
    ],
    ['a scheme that is none', {}, { url: 'ftp://ci.test/' }, { error: 'Invalid url given' }],
    ['a variable without a value', {}, { url: 'https://ci.test/{key}' }, { error: 'Invalid url given' }],
    [
      'a wrong branch filter',
      {},
      { ...hookBody, push_events_branch_filter: 'a b' },
      { error: 'Invalid branch filter given' },
    ],
    [
      'a signing token of another form',
      {},
      { ...hookBody, signing_token: 'whsec_c2hvcnQ=' },
      { message: { signing_token: [expect.anything() as unknown] } },
    ],
    [
      'one hook too many',
      { settings: { maxProjectHooks: 0 } },
      hookBody,
      { message: { base: [expect.stringContaining('Maximum') as unknown] } },
    ],
  ])('is refused with %s', async (_, options, json, body) => {
    const response = await callWith(await start(options))(hooksOfApi, { json });
    expect(response.status).toBe(422);
    expect(response.json).toEqual(body);
  });

  test('needs the scope api, a maintainer, and an owner for a group', async () => {
    const simulator = await start();
    const ask = async (path: string, token: object) => (await callWith(simulator, token)(path)).status;
    expect(await ask(hooksOfApi, { scopes: ['read_api'] })).toBe(200);
    expect((await callWith(simulator, { scopes: ['read_api'] })(hooksOfApi, { json: hookBody })).status).toBe(
      403,
    );
    expect(await ask(hooksOfAcme, { kind: 'group', resource: 'acme', accessLevel: 40 })).toBe(403);
    expect(await ask(hooksOfAcme, { kind: 'group', resource: 'acme', accessLevel: 50 })).toBe(200);
    expect(await ask(hooksOfAcme, { kind: 'project', resource: 'ada/notes' })).toBe(404);
  });

  test('with variables shows the template, and an edit that leads elsewhere loses them', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const url = 'http://127.0.0.1:9/{key}';
    const { id } = await createHook(call, { url, url_variables: [{ key: 'key', value: 'canary' }] });
    const one = `${hooksOfApi}/${id}`;
    expect((await call(one)).json).toMatchObject({ url, url_variables: [{ key: 'key' }] });
    expect((await call(one, { method: 'PUT', json: { url, token: 'canary' } })).status).toBe(200);
    expect((await call(one, { method: 'PUT', json: { url: `${url}/more` } })).status).toBe(422);
    simulator.assertNoFailures();
  });
});

describe('a delivery', () => {
  test('of a test carries both secrets, signed as Standard Webhooks say, and is listed without them', async () => {
    const receiver = await startReceiver();
    const simulator = await start();
    const call = callWith(simulator);
    const { id } = await createHook(call, { ...hookBody, url: receiver.url, signing_token });
    const tested = await call(`${hooksOfApi}/${id}/test/push_events`, { method: 'POST' });
    expect([tested.status, tested.json]).toEqual([201, { message: '201 Created' }]);
    const [delivery] = receiver.received;
    expect(delivery?.headers).toMatchObject({
      'x-gitlab-token': 'canary-old',
      'x-gitlab-event': 'Push Hook',
      'x-gitlab-instance': simulator.url,
    });
    const headers = delivery?.headers ?? {};
    const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${delivery?.body ?? ''}`;
    const signature = createHmac('sha256', signingKey).update(signed).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${signature}`);
    const events = await call(`${hooksOfApi}/${id}/events?status=successful`);
    expect(events.json).toMatchObject([{ trigger: 'push_hooks', response_status: '200' }]);
    expect(events.text).not.toContain('canary-old');
    const [event] = events.json as { id: number }[];
    const resent = await call(`${hooksOfApi}/${id}/events/${event?.id}/resend`, { method: 'POST' });
    expect(resent.json).toEqual({ response_status: 200 });
    expect(receiver.received[1]?.headers['idempotency-key']).toBe(headers['idempotency-key']);
    simulator.assertNoFailures();
  });

  test('failures switch a hook off for a while, then for ever, and a good test on again', async () => {
    const receiver = createServer((_, response) => void response.writeHead(status).end('no'));
    let status = 401;
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void receiver.close());
    const simulator = await start({ settings: { maxHookTests: 100 } });
    const call = callWith(simulator);
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    const { id } = await createHook(call, { url });
    const test = () => call(`${hooksOfApi}/${id}/test/push_events`, { method: 'POST' });
    const read = async () => (await call(`${hooksOfApi}/${id}`)).json;
    for (let count = 0; count < 4; count += 1) expect((await test()).json).toEqual({ message: 'no' });
    expect(await read()).toMatchObject({
      alert_status: 'temporarily_disabled',
      disabled_until: expect.any(String) as unknown,
    });
    for (let count = 0; count < 36; count += 1) await test();
    expect(await read()).toMatchObject({ alert_status: 'disabled', disabled_until: null });
    status = 204;
    expect((await test()).status).toBe(201);
    expect(await read()).toMatchObject({ alert_status: 'executable' });
    simulator.assertNoFailures();
  });

  test.each([
    ['an empty project', '/api/v4/projects/acme%2Fplatform%2Fempty/hooks', 'push_events', 422],
    ['what the project has none of', hooksOfApi, 'merge_requests_events', 422],
    ['an event that is none', hooksOfApi, 'everything', 400],
    ['a receiver that is not there', hooksOfApi, 'push_events', 422],
  ])('of a test is refused for %s', async (_, path, trigger, status) => {
    const call = callWith(await start());
    const { id } = await createHook(call, hookBody, path);
    expect((await call(`${path}/${id}/test/${trigger}`, { method: 'POST' })).status).toBe(status);
  });

  test('of a test comes five times a minute, by project and user', async () => {
    const receiver = await startReceiver();
    const call = callWith(await start());
    const { id } = await createHook(call, { url: receiver.url });
    const statuses: number[] = [];
    for (let count = 0; count < 6; count += 1) {
      statuses.push((await call(`${hooksOfApi}/${id}/test/push_events`, { method: 'POST' })).status);
    }
    expect(statuses).toEqual([201, 201, 201, 201, 201, 429]);
  });
});
