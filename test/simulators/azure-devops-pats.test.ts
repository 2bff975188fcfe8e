import { expect, test } from 'vitest';
import type { AzureDevopsSimulator } from './azure-devops/server.ts';
import { requireOrganization } from './azure-devops/state.ts';
import { basic, callBy, callWith, start, typeOf, type Caller } from './azure-devops-kit.ts';

const pats = '/vssps/acme/_apis/tokens/pats';
const dayMs = 86_400_000;

interface Pat {
  readonly displayName: string;
  readonly scope: string;
  readonly authorizationId: string;
  readonly validTo: string;
  readonly token: string | null;
}

function person(simulator: AzureDevopsSimulator, scopes = ['vso.pats_manage'], user = 'ada'): Caller {
  const { secret } = simulator.addEntraToken({ user, scopes });
  return callBy(simulator, `Bearer ${secret}`, secret);
}

function wish(changes: Readonly<Record<string, unknown>> = {}) {
  const validTo = new Date(Date.now() + 30 * dayMs).toISOString();
  return { displayName: 'gitlink', scope: 'vso.code_write vso.project', validTo, allOrgs: false, ...changes };
}

async function create(call: Caller, changes: Readonly<Record<string, unknown>> = {}): Promise<Pat> {
  const { json } = await call(pats, { json: wish(changes) });
  expect(json).toMatchObject({ patTokenError: 'none' });
  return (json as { patToken: Pat }).patToken;
}

async function list(call: Caller, query = ''): Promise<readonly Pat[]> {
  const { json } = await call(`${pats}?${query}`);
  return (json as { patTokens: readonly Pat[] }).patTokens;
}

test('a PAT is made, told once, listed, extended and revoked', async () => {
  const simulator = await start();
  const call = person(simulator);
  const { token, authorizationId } = await create(call);
  const secret = token ?? '';
  const projects = () => callBy(simulator, basic(secret))('/acme/_apis/projects');
  expect((await projects()).status).toBe(200);
  const one = `${pats}?authorizationId=${authorizationId}`;
  expect((await call(one)).json).toMatchObject({
    patToken: { displayName: 'gitlink', token: null },
    patTokenError: 'none',
  });
  const validTo = new Date(Date.now() + 60 * dayMs).toISOString();
  const { json } = await call(pats, {
    method: 'PUT',
    json: { authorizationId, validTo, displayName: 'later' },
  });
  expect(json).toMatchObject({
    patToken: {
      authorizationId,
      validTo,
      displayName: 'later',
      scope: 'vso.code_write vso.project',
      token: null,
    },
  });
  expect((await projects()).status).toBe(200);
  expect((await list(call)).map(({ displayName }) => displayName)).toEqual(['later']);
  expect((await call(one, { method: 'DELETE' })).status).toBe(204);
  expect((await projects()).status).toBe(401);
  expect(await list(call)).toEqual([]);
  expect((await list(call, 'displayFilterOption=revoked')).map((pat) => pat.authorizationId)).toEqual([
    authorizationId,
  ]);
  simulator.assertNoFailures();
});

test.each([
  ['displayNameRequired', { displayName: '' }],
  ['invalidScope', { scope: 'vso.everything' }],
  ['invalidScope', { scope: 'vso.pats_manage' }],
  ['invalidValidTo', { validTo: '2020-01-01T00:00:00Z' }],
  ['invalidValidTo', { validTo: new Date(Date.now() + 400 * dayMs).toISOString() }],
  ['invalidValidTo', { validTo: 'soon' }],
  ['patLifespanPolicyViolation', { validTo: new Date(Date.now() + 90 * dayMs).toISOString() }],
  ['globalPATCreationBlocked', { allOrgs: true }],
  ['fullScopePatPolicyViolation', { scope: 'app_token' }],
])('%s inside of a 200', async (patTokenError, changes) => {
  const simulator = await start();
  Object.assign(requireOrganization(simulator.state, 'acme').policies, {
    allowsFullScope: false,
    maxLifespanDays: 60,
  });
  const { status, json } = await person(simulator)(pats, { json: wish(changes) });
  expect([status, json]).toMatchObject([200, { patToken: null, patTokenError }]);
  expect(simulator.state.tokens.size).toBe(1);
});

test('no PATs at all where a policy says so, and no other life for what is over', async () => {
  const simulator = await start();
  const call = person(simulator);
  const { authorizationId } = simulator.addToken({ expiresAt: Date.now() - 1 });
  const put = (json: object) => call(pats, { method: 'PUT', json });
  expect((await put({ authorizationId })).json).toMatchObject({
    patTokenError: 'expiredPatCannotBeExtended',
  });
  expect((await put({ authorizationId: 'none' })).json).toMatchObject({
    patTokenError: 'authorizationNotFound',
  });
  expect((await call(`${pats}?authorizationId=none`)).json).toMatchObject({
    patTokenError: 'authorizationNotFound',
  });
  expect((await call(`${pats}?authorizationId=none`, { method: 'DELETE' })).status).toBe(404);
  expect((await list(call, 'displayFilterOption=expired')).map((pat) => pat.authorizationId)).toEqual([
    authorizationId,
  ]);
  requireOrganization(simulator.state, 'acme').policies.allowsCreation = false;
  expect((await call(pats, { json: wish() })).json).toMatchObject({
    patTokenError: 'disablePatCreationPolicyViolation',
  });
  const wrong = await call(pats, { json: 'no object' });
  expect([wrong.status, typeOf(wrong)]).toEqual([400, 'JsonReaderException']);
});

test('only people with an Entra token for it: no PAT, no robot, no other scope', async () => {
  const simulator = await start();
  for (const call of [
    callWith(simulator, { scopes: ['app_token'] }),
    person(simulator, [], 'ci'),
    person(simulator, ['vso.code_full']),
  ]) {
    const refused = await call(pats);
    expect([refused.status, typeOf(refused)]).toEqual([401, 'InvalidAccessException']);
  }
  const reader = person(simulator, ['vso.pats']);
  expect((await reader(pats)).status).toBe(200);
  expect((await reader(pats, { json: wish() })).status).toBe(401);
  expect((await person(simulator, ['user_impersonation'])(pats, { json: wish() })).status).toBe(200);
});

test('everybody sees their own, page by page', async () => {
  const simulator = await start();
  for (let index = 0; index < 3; index += 1) simulator.addToken({ name: `of ada ${index}` });
  simulator.addToken({ user: 'bob' });
  simulator.addToken({ organization: 'acme-labs' });
  const call = person(simulator);
  const { json } = await call(`${pats}?$top=2`);
  expect(json).toMatchObject({ continuationToken: '2', patTokens: [{ displayName: 'of ada 0' }, {}] });
  const rest = await call(`${pats}?$top=2&continuationToken=2`);
  expect(rest.json).toMatchObject({ continuationToken: '', patTokens: [{ displayName: 'of ada 2' }] });
  simulator.assertNoFailures();
  await call(`${pats}?page=2`);
  expect(() => simulator.assertNoFailures()).toThrow(/unknown query parameter page/);
});
