import { describe, expect, test } from 'vitest';
import type { NewToken } from './bitbucket/token-state.ts';
import { renameRepository } from './bitbucket/world.ts';
import {
  callWith,
  createHook,
  errorOf,
  hookBody,
  hooksOfApi,
  start,
  valuesOf,
  someText,
} from './bitbucket-kit.ts';
import { sendRequest } from './send-request.ts';

const hooksOfAcme = '/2.0/workspaces/acme/hooks';

test('a hook is made, read, changed and removed, and its secret is never told', async () => {
  const simulator = await start();
  const call = callWith(simulator);
  const { uuid, path, response } = await createHook(call);
  expect(uuid).toMatch(/^\{[0-9a-f-]{36}\}$/);
  expect(response.headers.location).toBe(`${simulator.url}${path}`);
  expect(path).toContain('%7B');
  const { json } = await call(path);
  expect(json).toMatchObject({
    uuid,
    url: hookBody.url,
    description: hookBody.description,
    active: true,
    events: ['repo:push'],
    secret_set: true,
    subject_type: 'repository',
    subject: { full_name: 'acme/api' },
  });
  expect(JSON.stringify(json)).not.toContain('canary-old');
  expect(valuesOf(await call(hooksOfApi))).toEqual([json]);
  const changed = { ...hookBody, description: 'other', active: false };
  expect((await call(path, { method: 'PUT', json: changed })).json).toMatchObject({ active: false });
  expect((await call(path, { method: 'DELETE' })).status).toBe(204);
  expect((await call(path, { method: 'DELETE' })).status).toBe(404);
  expect(simulator.hooksOf('acme/api')).toEqual([]);
  simulator.assertNoFailures();
});

test.each([
  ['left out', undefined, 'canary-old', true],
  ['new', 'canary-new', 'canary-new', true],
  ['null', null, null, false],
  ['empty', '', null, false],
])('a secret that is %s when the hook is changed', async (_, secret, kept, isSet) => {
  const simulator = await start();
  const call = callWith(simulator);
  const { path } = await createHook(call);
  const { json } = await call(path, { method: 'PUT', json: { ...hookBody, secret } });
  expect(json).toMatchObject({ secret_set: isSet });
  expect(simulator.hooksOf('acme/api')[0]?.secret).toBe(kept);
});

test('what is left out of a change is lost, and fails the test where it matters', async () => {
  const simulator = await start();
  const call = callWith(simulator);
  const more = { ...hookBody, skip_cert_verification: true, history_enabled: true };
  const { path, response } = await createHook(call, more);
  expect(response.json).toMatchObject({ skip_cert_verification: true, history_enabled: true });
  const { json } = await call(path, { method: 'PUT', json: hookBody });
  expect(json).toMatchObject({ skip_cert_verification: false, history_enabled: false });
  simulator.assertNoFailures();
  const { url, events } = hookBody;
  const changed = await call(path, { method: 'PUT', json: { url, events } });
  expect(changed.json).toMatchObject({ description: '', active: false });
  expect(() => simulator.assertNoFailures()).toThrow(/without "active"/);
  await call(hooksOfApi, { json: { ...hookBody, content_type: 'json' } });
  expect(() => simulator.assertNoFailures()).toThrow(/unknown field "content_type"/);
});

const url = (value: string) => ({ url: value });

test.each([
  ['no address', url(''), 'url'],
  ['another protocol', url('ftp://ci.acme.example/hook'), 'url'],
  ['a private address', url('https://10.1.2.3/hook'), 'url'],
  ['another private address', url('https://172.16.0.9/hook'), 'url'],
  ['a link-local address', url('http://169.254.169.254/latest'), 'url'],
  ['an internal name', url('https://ci.internal/hook'), 'url'],
  ['a name without a dot', url('https://ci/hook'), 'url'],
  ['a local IPv6 address', url('http://[fd00::1]/hook'), 'url'],
  ['this machine', url('http://127.0.0.1:9/hook'), 'url'],
  ['this machine by name', url('http://localhost:9/hook'), 'url'],
  ['this machine by IPv6', url('http://[::1]:9/hook'), 'url'],
  ['no events', { events: [] }, 'events'],
  ['an event twice', { events: ['repo:push', 'repo:push'] }, 'events'],
  ['an event of nobody', { events: ['push'] }, 'events'],
  ['an event of workspaces', { events: ['repo:created'] }, 'events'],
  ['too long a secret', { secret: 'x'.repeat(129) }, 'secret'],
])('%s is refused by the name of the field', async (_, changes, field) => {
  const simulator = await start({ settings: { allowsLoopback: false } });
  const call = callWith(simulator);
  const response = await call(hooksOfApi, { json: { ...hookBody, ...changes } });
  expect(response.status).toBe(400);
  expect(errorOf(response)).toMatchObject({
    message: 'Bad request',
    fields: { [field]: [someText] },
    detail: someText,
  });
  expect(simulator.hooksOf('acme/api')).toEqual([]);
});

test('this machine is allowed where the setting says so, and 128 characters are', async () => {
  const call = callWith(await start());
  for (const host of ['127.0.0.1:9', '[::1]:9', 'localhost:9']) {
    await createHook(call, { ...hookBody, url: `http://${host}/hook`, secret: 'x'.repeat(128) });
  }
});

const api = (user: string, ...scopes: string[]): NewToken => ({
  kind: 'api',
  user,
  scopes: scopes.map((scope) => `${scope}:bitbucket`),
});
const access = (kind: 'repository' | 'project' | 'workspace', resource: string, ...scopes: string[]) =>
  ({ kind, resource, scopes }) satisfies NewToken;
const all = ['read:webhook', 'write:webhook', 'read:repository'];

test.each<[string, string, NewToken, readonly string[], number]>([
  ['an admin', hooksOfApi, api('ada', ...all), ['repo:push'], 201],
  ['a reader', hooksOfApi, api('bob', ...all), ['repo:push'], 403],
  ['a writer', '/2.0/repositories/others/pen/hooks', api('ada', ...all), ['repo:push'], 403],
  ['an outsider', '/2.0/repositories/others/hidden/hooks', api('ada', ...all), ['repo:push'], 404],
  ['an admin of a workspace', hooksOfAcme, api('ada', ...all), ['repo:created'], 201],
  ['a member of a workspace', hooksOfAcme, api('bob', ...all), ['repo:push'], 403],
  ['who may not read', hooksOfApi, api('ada', 'write:webhook', 'read:repository'), ['repo:push'], 403],
  ['who may not read code', hooksOfApi, api('ada', ...all.slice(0, 2)), ['repo:push'], 403],
  [
    'who may not read pull requests',
    hooksOfApi,
    api('ada', ...all),
    ['repo:push', 'pullrequest:created'],
    403,
  ],
  ['who may', hooksOfApi, api('ada', ...all, 'read:pullrequest'), ['repo:push', 'pullrequest:created'], 201],
  ['webhook alone', hooksOfApi, access('repository', 'acme/api', 'webhook'), ['repo:push'], 403],
  [
    'webhook and repository',
    hooksOfApi,
    access('repository', 'acme/api', 'webhook', 'repository'),
    ['repo:push'],
    201,
  ],
  [
    'implied repository',
    hooksOfApi,
    access('project', 'acme/API', 'webhook', 'pullrequest'),
    ['repo:push'],
    201,
  ],
  [
    'another repository',
    hooksOfApi,
    access('repository', 'acme/site', 'webhook', 'repository'),
    ['repo:push'],
    404,
  ],
  [
    'a token of the workspace',
    hooksOfAcme,
    access('workspace', 'acme', 'webhook', 'repository'),
    ['repo:push'],
    201,
  ],
  [
    'a token of less',
    hooksOfAcme,
    access('project', 'acme/API', 'webhook', 'repository'),
    ['repo:push'],
    403,
  ],
])('to make a hook: %s', async (_, path, token, events, status) => {
  const simulator = await start();
  const response = await callWith(simulator, token)(path, { json: { ...hookBody, events } });
  expect(response.status, response.text).toBe(status);
  simulator.assertNoFailures();
});

describe('places', () => {
  test('a hook stays with its repository, whatever that is called', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const { uuid } = await createHook(call);
    renameRepository(simulator.state, 'acme/api', 'acme/interface');
    const id = encodeURIComponent(simulator.state.findRepository('acme', 'interface')?.uuid ?? '');
    const path = `/2.0/repositories/acme/${id}/hooks/${encodeURIComponent(uuid)}`;
    expect((await call(path, { method: 'DELETE' })).status).toBe(204);
    simulator.assertNoFailures();
  });

  test('hooks of a workspace are not those of its repositories, and there is an end to them', async () => {
    const simulator = await start({ settings: { maxHooks: 1 } });
    const call = callWith(simulator);
    await createHook(call, hookBody, hooksOfAcme);
    expect(valuesOf(await call(hooksOfApi))).toEqual([]);
    const second = await call(hooksOfAcme, { json: hookBody });
    expect(second.status).toBe(400);
    expect(errorOf(second)).toEqual({ message: 'You cannot have more than 1 webhooks.' });
    expect(simulator.hooksOf('acme')).toHaveLength(1);
  });

  test('an id without its braces is unknown, and nobody reads hooks without a credential', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const { uuid } = await createHook(call);
    expect((await call(`${hooksOfApi}/${uuid.slice(1, -1)}`)).status).toBe(404);
    expect((await sendRequest(simulator.url + '/2.0/repositories/acme/site/hooks')).status).toBe(401);
  });

  test('the catalogue is for everybody, page by page', async () => {
    const simulator = await start();
    const ask = (path: string) => sendRequest(`${simulator.url}/2.0/hook_events${path}`);
    expect((await ask('')).json).toHaveProperty('workspace.links.events.href');
    const eventsOf = async (level: string) =>
      valuesOf(await ask(`/${level}?pagelen=100`)).map(({ event }) => event);
    expect(await eventsOf('repository')).toContain('pullrequest:fulfilled');
    expect(await eventsOf('repository')).not.toContain('repo:created');
    expect(await eventsOf('workspace')).toContain('repo:created');
    expect((await ask('/user')).status).toBe(404);
    expect((await ask('/repository')).json).toHaveProperty('next');
  });
});
