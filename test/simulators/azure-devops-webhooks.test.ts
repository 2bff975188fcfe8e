import { describe, expect, test } from 'vitest';
import { mask } from './azure-devops/hook-state.ts';
import { requireProject, requireRepository, requireUser, zeroGuid } from './azure-devops/state.ts';
import {
  basic,
  callWith,
  createHook,
  hookBody,
  hooksOfAcme,
  messageOf,
  someText,
  start,
  startBadReceiver,
  startReceiver,
  typeOf,
  valuesOf,
} from './azure-devops-kit.ts';

const hooks = '/acme/_apis/hooks';

test('a hook is made, read, replaced and removed, and its password is never told', async () => {
  const simulator = await start();
  const call = callWith(simulator, { scopes: ['vso.code'] });
  const { id, path, response } = await createHook(simulator, call);
  const { json } = await call(path);
  expect(json).toEqual(response.json);
  expect(json).toMatchObject({
    id,
    url: `${simulator.url}${path}`,
    status: 'enabled',
    eventType: 'git.push',
    createdBy: { id: requireUser(simulator.state, 'ada').id },
    publisherInputs: {
      projectId: requireProject(simulator.state, 'acme/Platform').id,
      hostId: someText,
      tfsSubscriptionId: someText,
    },
    consumerInputs: { basicAuthUsername: 'gitlink', basicAuthPassword: mask },
  });
  expect(JSON.stringify(json)).not.toContain('canary-old');
  expect(simulator.secretOf(id)).toBe('canary-old');
  const replaced = await call(path, {
    method: 'PUT',
    json: { ...hookBody(simulator, { basicAuthPassword: 'canary-new' }), id, status: 'enabled' },
  });
  expect(replaced.json).toMatchObject({ id, consumerInputs: { basicAuthPassword: mask } });
  expect(simulator.secretOf(id)).toBe('canary-new');
  expect(simulator.hooksOf('acme/Platform').map((hook) => hook.id)).toEqual([id]);
  expect((await call(path, { method: 'DELETE' })).status).toBe(204);
  expect((await call(path, { method: 'DELETE' })).status).toBe(404);
  expect(simulator.hooksOf('acme')).toEqual([]);
  simulator.assertNoFailures();
});

test('PUT replaces the whole: what is left out is gone, and a mask becomes the password', async () => {
  const simulator = await start();
  const call = callWith(simulator);
  const headers = { httpHeaders: 'X-Team:acme' };
  const { id, path, response } = await createHook(simulator, call, hookBody(simulator, headers));
  const { consumerInputs } = response.json as { consumerInputs: Record<string, string> };
  await call(path, {
    method: 'PUT',
    json: { ...hookBody(simulator), consumerInputs: { url: consumerInputs['url'] } },
  });
  expect(simulator.secretOf(id)).toBeNull();
  expect(simulator.hooksOf('acme')[0]?.consumerInputs).not.toHaveProperty('httpHeaders');
  simulator.assertNoFailures();
  await call(path, { method: 'PUT', json: { ...hookBody(simulator), consumerInputs } });
  expect(simulator.secretOf(id)).toBe(mask);
  expect(() => simulator.assertNoFailures()).toThrow(/the mask of a secret was sent as the secret/);
});

test.each<[string, Record<string, unknown>, Record<string, unknown>, string]>([
  ['no project', {}, { projectId: '' }, 'projectId'],
  ['a project by its name', {}, { projectId: 'Platform' }, 'projectId'],
  ['a project that is not there', {}, { projectId: zeroGuid }, 'projectId'],
  ['a repository by its name', {}, { repository: 'api' }, 'repository'],
  ['a repository of nowhere', {}, { repository: zeroGuid }, 'repository'],
  ['no address', { url: '' }, {}, 'url'],
  ['another protocol', { url: 'ftp://ci.acme.example/' }, {}, 'url'],
  ['an inner address', { url: 'https://192.168.1.2/' }, {}, 'url'],
  ['a password by http', { url: 'http://ci.acme.example/' }, {}, 'url'],
  ['a password with a space', { basicAuthPassword: 'canary old' }, {}, 'basicAuthPassword'],
  ['a password of 257 letters', { basicAuthPassword: 'a'.repeat(257) }, {}, 'basicAuthPassword'],
  ['a header with a space in its value', { httpHeaders: 'Authorization:Bearer x' }, {}, 'httpHeaders'],
  ['an unknown word', { messagesToSend: 'some' }, {}, 'messagesToSend'],
])('%s is refused', async (_, consumerInputs, publisherInputs, input) => {
  const simulator = await start();
  const call = callWith(simulator);
  const body = hookBody(simulator, consumerInputs, publisherInputs);
  const response = await call(hooksOfAcme, { json: body });
  expect([response.status, typeOf(response)]).toEqual([400, 'SubscriptionInputException']);
  expect(messageOf(response)).toContain(`'${input}'`);
  expect(simulator.hooksOf('acme')).toEqual([]);
  simulator.assertNoFailures();
});

test('values are strings, and unknown inputs fail the test', async () => {
  const simulator = await start();
  const call = callWith(simulator);
  const typed = await call(hooksOfAcme, { json: hookBody(simulator, { acceptUntrustedCerts: false }) });
  expect(typed.status).toBe(400);
  expect(() => simulator.assertNoFailures()).toThrow(/acceptUntrustedCerts should be of type string/);
  await call(hooksOfAcme, { json: hookBody(simulator, { secret: 'canary' }) });
  expect(() => simulator.assertNoFailures()).toThrow(/"secret" is no input/);
  const events = { ...hookBody(simulator), eventType: 'git.push,git.pullrequest.created' };
  expect((await call(hooksOfAcme, { json: events })).status).toBe(400);
});

test('this machine is no target, unless the simulator is told so', async () => {
  const simulator = await start({ settings: { allowsLoopback: false } });
  const call = callWith(simulator);
  for (const url of [
    'https://127.0.0.1/hook',
    'https://localhost/',
    'https://[::1]/',
    'http://127.0.0.1:9/',
  ]) {
    const refused = await call(hooksOfAcme, { json: hookBody(simulator, { url }) });
    expect([refused.status, messageOf(refused)]).toEqual([400, expect.stringContaining('local or special')]);
  }
});

test('who may what: lists are silently shorter, the rest is denied', async () => {
  const simulator = await start();
  const { id, path } = await createHook(simulator, callWith(simulator));
  const bob = callWith(simulator, { user: 'bob' });
  expect(valuesOf(await bob(hooksOfAcme))).toEqual([]);
  const denied = await bob(hooksOfAcme, { json: hookBody(simulator) });
  expect([denied.status, typeOf(denied)]).toEqual([403, 'AccessCheckException']);
  expect((await bob(path)).status).toBe(403);
  const { hookRights } = requireProject(simulator.state, 'acme/Platform');
  hookRights.set(requireUser(simulator.state, 'bob').id, 1);
  expect(valuesOf(await bob(hooksOfAcme)).map((hook) => hook['id'])).toEqual([id]);
  expect((await bob(path, { method: 'DELETE' })).status).toBe(403);
  expect((await callWith(simulator, { scopes: ['vso.project'] })(hooksOfAcme)).status).toBe(401);
  expect((await callWith(simulator, { scopes: ['vso.work'] })(hooksOfAcme)).status).toBe(200);
  simulator.assertNoFailures();
});

test('permissions tell the same', async () => {
  const simulator = await start();
  const { id } = requireProject(simulator.state, 'acme/Platform');
  const { guid } = requireRepository(simulator.state, 'acme/Platform/api');
  const ofHooks = `/acme/_apis/permissions/cb594ebe-87dd-4fc9-ac2c-6a10a4c92046/2?tokens=PublisherSecurity/${id}`;
  const ofGit = `/acme/_apis/permissions/2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87/4?tokens=repoV2/${id}/${guid},repoV2/${id}/${zeroGuid}`;
  const ada = callWith(simulator);
  const bob = callWith(simulator, { user: 'bob' });
  expect(valuesOf(await ada(ofHooks))).toEqual([true]);
  expect(valuesOf(await bob(ofHooks))).toEqual([false]);
  expect(valuesOf(await bob(ofGit))).toEqual([true, false]);
  expect((await ada(`/acme/_apis/permissions/${zeroGuid}/2`)).status).toBe(404);
  simulator.assertNoFailures();
});

test('lists are filtered by event, queries by inputs', async () => {
  const simulator = await start();
  const call = callWith(simulator);
  const { id } = await createHook(simulator, call);
  const whole = { ...hookBody(simulator, {}, { repository: '' }), eventType: 'git.pullrequest.created' };
  const other = await createHook(simulator, call, whole);
  const idsOf = (list: readonly Readonly<Record<string, unknown>>[]) => list.map((hook) => hook['id']);
  expect(idsOf(valuesOf(await call(`${hooksOfAcme}?publisherId=tfs&consumerId=webHooks`)))).toEqual([
    id,
    other.id,
  ]);
  expect(idsOf(valuesOf(await call(`${hooksOfAcme}?eventType=git.push`)))).toEqual([id]);
  const project = requireProject(simulator.state, 'acme/Platform').id;
  const ask = async (inputId: string, inputValue: string) => {
    const conditions = [{ inputId, operator: 'equals', inputValue, caseSensitive: false }];
    const json = { publisherId: 'tfs', publisherInputFilters: [{ conditions }] };
    const response = await call(`${hooks}/subscriptionsquery`, { json });
    return idsOf((response.json as { results: Readonly<Record<string, unknown>>[] }).results);
  };
  expect(await ask('projectId', project.toUpperCase())).toEqual([id, other.id]);
  expect(await ask('repository', requireRepository(simulator.state, 'acme/Platform/api').guid)).toEqual([id]);
  expect(await ask('projectId', zeroGuid)).toEqual([]);
  simulator.assertNoFailures();
});

describe('deliveries', () => {
  test('a test of a hook goes out with its real password, and stays in the history', async () => {
    const simulator = await start();
    const receiver = await startReceiver();
    const call = callWith(simulator);
    const { id, path } = await createHook(simulator, call, hookBody(simulator, { url: receiver.url }));
    const tried = await call(`${hooks}/testnotifications`, { json: { subscriptionId: id } });
    expect(tried.json).toMatchObject({
      status: 'completed',
      result: 'succeeded',
      details: { response: 'Status Code: 200', consumerInputs: { basicAuthPassword: mask } },
    });
    expect(receiver.received[0]?.headers['authorization']).toBe(basic('canary-old', 'gitlink'));
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({
      subscriptionId: id,
      eventType: 'git.push',
    });
    const list = valuesOf(await call(`${path}/notifications?maxResults=1&status=completed`));
    expect(list).toEqual([tried.json]);
    expect((await call(`${path}/notifications/${String(list[0]?.['id'])}`)).json).toEqual(tried.json);
    expect(valuesOf(await call(`${path}/notifications?result=failed`))).toEqual([]);
    expect((await call(`${path}/notifications/999999`)).status).toBe(404);
    simulator.assertNoFailures();
  });

  test('one that is only described is tried too, at once or later', async () => {
    const simulator = await start({ settings: { queuesTests: true } });
    const receiver = await startReceiver();
    const call = callWith(simulator);
    const { resourceVersion, ...details } = hookBody(simulator, { url: receiver.url });
    const queued = await call(`${hooks}/testnotifications`, { json: { details } });
    expect(queued.json).toMatchObject({ status: 'queued', result: 'pending', subscriptionId: zeroGuid });
    await simulator.settle();
    const { id } = queued.json as { id: number };
    const after = await call(`${hooksOfAcme}/${zeroGuid}/notifications/${id}`);
    expect(after.json).toMatchObject({ status: 'completed', result: 'succeeded' });
    const unknown = await call(`${hooks}/testnotifications`, { json: { subscriptionId: id.toString() } });
    expect(unknown.status).toBe(404);
    simulator.assertNoFailures();
    await call(`${hooks}/testnotifications`, { json: { details: { ...details, resourceVersion } } });
    expect(() => simulator.assertNoFailures()).toThrow(/unknown field body.details.resourceVersion/);
  });

  test('a receiver that is not there fails the delivery', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const { id } = await createHook(simulator, call, hookBody(simulator, { url: 'http://127.0.0.1:9/hook' }));
    const tried = await call(`${hooks}/testnotifications`, { json: { subscriptionId: id } });
    expect(tried.json).toMatchObject({
      result: 'failed',
      details: { errorMessage: someText },
    });
  });

  test('a receiver that fails again and again is left alone, one that is gone at once', async () => {
    const simulator = await start({ settings: { failuresUntilProbation: 1 } });
    const call = callWith(simulator);
    const target = await startBadReceiver();
    const { path } = await createHook(simulator, call, hookBody(simulator, { url: target.url }));
    const repository = requireRepository(simulator.state, 'acme/Platform/api');
    const statusAfterPush = async () => {
      simulator.announcePush(repository, 'ada', 'refs/heads/main');
      await simulator.settle();
      return ((await call(path)).json as { status: string }).status;
    };
    expect(await statusAfterPush()).toBe('onProbation');
    target.answers(200);
    expect(await statusAfterPush()).toBe('enabled');
    target.answers(410);
    expect(await statusAfterPush()).toBe('disabledBySystem');
    target.answers(200);
    expect(await statusAfterPush()).toBe('disabledBySystem');
    const again = await call(path, { method: 'PUT', json: { ...hookBody(simulator), status: 'enabled' } });
    expect(again.json).toMatchObject({ status: 'enabled', lastSuccessfulAttemptDate: someText });
    expect(valuesOf(await call(`${path}/notifications`)).map(({ result }) => result)).toEqual([
      'failed',
      'succeeded',
      'failed',
    ]);
    simulator.assertNoFailures();
  });

  test('a push is told to the hooks that listen: of its repository, project and branch', async () => {
    const simulator = await start();
    const receiver = await startReceiver();
    const call = callWith(simulator);
    const make = (inputs: Readonly<Record<string, string>>, eventType = 'git.push') =>
      createHook(simulator, call, { ...hookBody(simulator, { url: receiver.url }, inputs), eventType });
    const heard = [await make({}), await make({ repository: '' }), await make({ branch: 'main' })];
    await make({ branch: 'other' });
    await make({ repository: requireRepository(simulator.state, 'acme/Platform/gateway').guid });
    await make({}, 'git.pullrequest.created');
    simulator.announcePush(requireRepository(simulator.state, 'acme/Platform/api'), 'bob', 'refs/heads/main');
    await simulator.settle();
    const bodies = receiver.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect(new Set(bodies.map((body) => body['subscriptionId']))).toEqual(new Set(heard.map(({ id }) => id)));
    expect(bodies[0]).toMatchObject({
      eventType: 'git.push',
      resource: { refUpdates: [{ name: 'refs/heads/main' }], pushedBy: { uniqueName: 'bob@acme.test' } },
    });
  });
});
