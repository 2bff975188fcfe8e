import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { requireProject } from './bitbucket-dc/state.ts';
import type { NewToken } from './bitbucket-dc/token-state.ts';
import {
  callWith,
  createHook,
  hookBody,
  hooksOfAcme,
  hooksOfApi,
  messageOf,
  start,
  startReceiver,
  type Page,
} from './bitbucket-dc-kit.ts';

const mask = '********';

describe('a webhook', () => {
  test.each([
    ['repository', hooksOfApi],
    ['project', hooksOfAcme],
  ])('of a %s has a number for an id, shows its secret, and goes once', async (scopeType, path) => {
    const simulator = await start();
    const call = callWith(simulator);
    const { id } = await createHook(call, hookBody, path);
    expect(Number.isInteger(id)).toBe(true);
    const read = await call(`${path}/${id}`);
    expect(read.json).toMatchObject({ ...hookBody, id, scopeType, sslVerificationRequired: true });
    const { values } = (await call(`${path}?event=repo:refs_changed`)).json as Page<object>;
    expect(values).toEqual([read.json]);
    expect(((await call(`${path}?event=pr:opened`)).json as Page<object>).values).toEqual([]);
    expect((await call(`${path}/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await call(`${path}/${id}`, { method: 'DELETE' })).status).toBe(404);
    simulator.assertNoFailures();
  });

  test('is replaced by an update: what is left out is gone, but the password beside its name', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const credentials = { username: 'ci', password: 'canary-password' };
    const { id } = await createHook(call, { ...hookBody, credentials, sslVerificationRequired: false });
    const one = `${hooksOfApi}/${id}`;
    expect((await call(one)).text).not.toContain('canary-password');
    const { configuration, ...rest } = hookBody;
    const put = async (json: object) => (await call(one, { method: 'PUT', json })).json;
    const kept = await put({ ...hookBody, credentials: { username: 'ci' } });
    expect(kept).toMatchObject({ configuration, credentials: { username: 'ci' } });
    expect(simulator.hooksOf('ACME/api')[0]?.settings.credentials).toEqual(credentials);
    expect(await put(rest)).toMatchObject({ configuration: {}, sslVerificationRequired: true });
    expect(simulator.hooksOf('ACME/api')[0]?.settings.credentials).toBeNull();
    simulator.assertNoFailures();
  });

  test('whose secret is masked must not get the mask for a secret', async () => {
    const simulator = await start({ settings: { secretsMasked: true } });
    const call = callWith(simulator);
    const { id } = await createHook(call);
    const shown = (await call(`${hooksOfApi}/${id}`)).json as typeof hookBody;
    expect(shown.configuration).toEqual({ secret: mask });
    const json = { ...hookBody, configuration: shown.configuration };
    await call(`${hooksOfApi}/${id}`, { method: 'PUT', json });
    expect(simulator.hooksOf('ACME/api')[0]?.settings.configuration).toEqual({ secret: mask });
    expect(() => simulator.assertNoFailures()).toThrow('masked secret');
  });

  test.each<[string, object, number, RegExp]>([
    ['without a name', { name: '' }, 400, /name/],
    ['without an address', { url: 'ci.test' }, 400, /URL/],
    ['without events', { events: [] }, 400, /event/],
    ['with an event of Cloud', { events: ['repo:push'] }, 400, /Unknown event: repo:push/],
    ['with an event of projects', { events: ['project:modified'] }, 400, /Unknown event/],
    ['with an empty secret', { configuration: { secret: '' } }, 500, /error/],
    ['with a secret that is no text', { configuration: { secret: 7 } }, 400, /texts/],
    ['at another level', { scopeType: 'project' }, 400, /scope/],
  ])('is refused %s', async (_, change, status, message) => {
    const simulator = await start();
    const response = await callWith(simulator)(hooksOfApi, { json: { ...hookBody, ...change } });
    expect(response.status).toBe(status);
    expect(messageOf(response)).toMatch(message);
    expect(simulator.hooksOf('ACME/api')).toEqual([]);
  });

  test('with another content type is 415', async () => {
    const sent = { json: hookBody, headers: { 'content-type': 'text/plain' } };
    expect((await callWith(await start())(hooksOfApi, sent)).status).toBe(415);
  });

  test.each<[string, NewToken, number, number]>([
    ['an admin', {}, 200, 200],
    ['a token of the repository', { kind: 'repository', resource: 'ACME/api' }, 200, 404],
    ['a token of another repository', { kind: 'repository', resource: 'ACME/old' }, 404, 404],
    ['a token of the project', { kind: 'project', resource: 'ACME' }, 200, 200],
    [
      'a token of the project for its repositories',
      { kind: 'project', resource: 'ACME', permissions: ['PROJECT_READ', 'REPO_ADMIN'] },
      200,
      401,
    ],
    ['a token that writes', { permissions: ['PROJECT_WRITE', 'REPO_WRITE'] }, 401, 401],
    ['somebody who writes', { user: 'Grace@acme.test' }, 401, 401],
  ])('is managed by %s or not', async (_, token, inRepository, inProject) => {
    const simulator = await start();
    const call = callWith(simulator, token);
    expect((await call(hooksOfApi)).status).toBe(inRepository);
    expect((await call(hooksOfAcme)).status).toBe(inProject);
    simulator.assertNoFailures();
  });

  test('of a project came with 8.8', async () => {
    for (const [version, status] of [
      ['8.8.0', 200],
      ['8.7.9', 404],
    ] as const) {
      expect((await callWith(await start({ version }))(hooksOfAcme)).status).toBe(status);
    }
  });

  test('is found with those of the project where both are asked for', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const own = await createHook(call);
    const inherited = await createHook(call, hookBody, hooksOfAcme);
    const search = async (query: string) => {
      const { values } = (await call(`${hooksOfApi}/search${query}`)).json as Page<{ id: number }>;
      return values.map(({ id }) => id);
    };
    expect(await search('?scopeType=repository&scopeType=project&limit=10')).toEqual([own.id, inherited.id]);
    expect(await search('?scopeType=project')).toEqual([inherited.id]);
    expect(await search('?scopeType=repository')).toEqual([own.id]);
    simulator.assertNoFailures();
  });

  test('cannot be changed where the project restricts it or the licence is over', async () => {
    const simulator = await start();
    requireProject(simulator.state, 'WEB').restrictsSettings = true;
    const call = callWith(simulator);
    const hooksOfTools = '/rest/api/latest/projects/WEB/repos/tools/webhooks';
    expect((await call(hooksOfTools)).status).toBe(200);
    expect((await call(hooksOfTools, { json: hookBody })).status).toBe(403);
    simulator.settings.isLicenceExpired = true;
    expect((await call(hooksOfApi, { json: hookBody })).status).toBe(403);
  });

  test('may be answered with 200 when it is made', async () => {
    const call = callWith(await start({ settings: { hookCreationStatus: 200 } }));
    expect((await call(hooksOfApi, { json: hookBody })).status).toBe(200);
  });
});

describe('a delivery', () => {
  test('of a test is a signed ping, and is told afterwards', async () => {
    const receiver = await startReceiver();
    const simulator = await start();
    const call = callWith(simulator);
    const credentials = { username: 'ci', password: 'canary-password' };
    const { id } = await createHook(call, { ...hookBody, url: receiver.url, credentials });
    const one = `${hooksOfApi}/${id}`;
    expect((await call(`${one}/latest`)).status).toBe(204);
    expect((await call(`${one}/statistics/summary`)).status).toBe(204);
    const query = new URLSearchParams({ url: receiver.url, webhookId: String(id) });
    const tested = await call(`${hooksOfApi}/test?${query.toString()}`, { method: 'POST' });
    expect(tested.json).toMatchObject({ response: { statusCode: 200 } });
    const [delivery] = receiver.received;
    const signature = createHmac('sha256', 'canary-old')
      .update(delivery?.body ?? '')
      .digest('hex');
    expect(delivery?.headers).toMatchObject({
      'x-event-key': 'diagnostics:ping',
      'x-hub-signature': `sha256=${signature}`,
      'x-request-id': expect.any(String) as unknown,
      authorization: `Basic ${btoa('ci:canary-password')}`,
    });
    const latest = await call(`${one}/latest?outcome=SUCCESS`);
    expect(latest.json).toMatchObject({ event: 'diagnostics:ping', result: { outcome: 'SUCCESS' } });
    expect((await call(`${one}/latest?outcome=FAILURE`)).status).toBe(204);
    expect((await call(`${one}/statistics`)).json).toMatchObject({ counts: { successes: 1, failures: 0 } });
    simulator.assertNoFailures();
  });

  test('of a test without a hook is not signed, and one that nobody gets is told', async () => {
    const receiver = await startReceiver();
    const simulator = await start();
    const test = (url: string, more = '') =>
      callWith(simulator)(`${hooksOfAcme}/test?url=${encodeURIComponent(url)}${more}`, { method: 'POST' });
    await test(receiver.url);
    expect(receiver.received[0]?.headers).not.toHaveProperty('x-hub-signature');
    expect((await test('http://127.0.0.1:9/')).json).toHaveProperty('errorMessage');
    expect((await test('https://ci.test/')).json).toHaveProperty('errorMessage');
    expect((await test('nowhere')).status).toBe(400);
    expect((await test(receiver.url, '&webhookId=1')).status).toBe(400);
  });

  test('that fails five times is left out for a while, if the breaker is on', async () => {
    const broken = createServer((_, response) => void response.writeHead(500).end());
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void broken.close());
    const url = `http://127.0.0.1:${(broken.address() as AddressInfo).port}/`;
    for (const hasCircuitBreaker of [true, false]) {
      const simulator = await start({ settings: { hasCircuitBreaker } });
      const call = callWith(simulator);
      const { id } = await createHook(call, { ...hookBody, url });
      const query = new URLSearchParams({ url, webhookId: String(id) });
      for (let count = 0; count < 5; count += 1) {
        await call(`${hooksOfApi}/test?${query.toString()}`, { method: 'POST' });
      }
      const latest = await call(`${hooksOfApi}/${id}/latest`);
      expect(latest.json).toMatchObject({ result: { outcome: 'FAILURE', statusCode: 500 } });
      const skippedUntil = simulator.hooksOf('ACME/api')[0]?.skippedUntil ?? 0;
      expect(skippedUntil > Date.now()).toBe(hasCircuitBreaker);
    }
  });
});
