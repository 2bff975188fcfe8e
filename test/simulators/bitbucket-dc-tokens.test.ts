import { describe, expect, test } from 'vitest';
import { requireProject } from './bitbucket-dc/state.ts';
import type { NewToken } from './bitbucket-dc/token-state.ts';
import {
  callBy,
  callWith,
  messageOf,
  signIn,
  start,
  toBasic,
  tokensOfAda,
  type Page,
} from './bitbucket-dc-kit.ts';

const tokensOfAcme = '/rest/access-tokens/latest/projects/ACME';
const tokensOfApi = `${tokensOfAcme}/repos/api`;
const wish = { name: 'gitlink', permissions: ['PROJECT_READ', 'REPO_ADMIN'] };
const wishForApi = { name: 'gitlink', permissions: ['REPO_READ'] };
const strict = '/rest/api/latest/inbox/pull-requests/count';
const put = (json: object) => ({ method: 'PUT', json });

describe('an HTTP access token', () => {
  test.each([
    ['prefixed', /^BBDC-([A-Za-z0-9+/]{44})$/],
    ['legacy', /^([MNO][A-Za-z0-9+/]{43})$/],
  ] as const)('%s holds its own id', async (shape, pattern) => {
    const simulator = await start();
    const { secret, id } = simulator.addToken({ shape });
    const body = Buffer.from(pattern.exec(secret)?.[1] ?? '', 'base64');
    expect(body).toHaveLength(33);
    expect(body.subarray(0, 13).toString()).toBe(`${id}:`);
  });

  test('is made for who signs in by password, shown once, edited and deleted', async () => {
    const simulator = await start();
    const call = callBy(simulator, toBasic('ada'));
    const made = await call(tokensOfAda, put({ ...wish, expiryDays: 30 }));
    expect(made.status).toBe(200);
    const { id, token, expiryDate } = made.json as { id: string; token: string; expiryDate: number };
    expect(Math.round((expiryDate - Date.now()) / 86_400_000)).toBe(30);
    expect((await callBy(simulator, `Bearer ${token}`)(strict)).status).toBe(200);

    const one = `${tokensOfAda}/${id}`;
    for (const response of [await call(one), await call(tokensOfAda)]) {
      expect(response.text).not.toContain(token);
      expect(response.text).toContain('lastAuthenticated');
    }
    const edited = await call(one, { json: wishForApi });
    expect(edited.json).toMatchObject({ id, permissions: ['REPO_READ'], user: { name: 'ada' } });
    expect((await call(one, { json: { ...wish, expiryDays: 60 } })).status).toBe(400);
    expect((await call(one, { method: 'DELETE' })).status).toBe(204);
    expect((await call(one, { method: 'DELETE' })).status).toBe(404);
    expect((await callBy(simulator, `Bearer ${token}`)(strict)).status).toBe(401);
    simulator.assertNoFailures();
  });

  test.each<[string, string, object, RegExp]>([
    ['without a name', tokensOfAda, { permissions: ['REPO_READ'] }, /name/],
    ['without permissions', tokensOfAda, { name: 'x', permissions: [] }, /permission/],
    ['with an unknown permission', tokensOfAda, { name: 'x', permissions: ['ADMIN'] }, /Unknown/],
    [
      'with more in the project than below',
      tokensOfAda,
      { name: 'x', permissions: ['PROJECT_ADMIN', 'REPO_READ'] },
      /equal to or higher/,
    ],
    ['of a repository with a project permission', tokensOfApi, wish, /cannot have project/],
    ['for no days', tokensOfAda, { ...wish, expiryDays: 0 }, /out of range/],
  ])('is refused %s', async (_, path, json, message) => {
    const simulator = await start();
    const response = await callBy(simulator, toBasic('ada'))(path, put(json));
    expect(response.status).toBe(400);
    expect(messageOf(response)).toMatch(message);
  });

  test('is refused above the number of an owner, without an end where it must have one, and too long', async () => {
    const simulator = await start({ settings: { maxTokensPerOwner: 1 } });
    const call = callBy(simulator, toBasic('ada'));
    const create = async (days: object = {}) => (await call(tokensOfAcme, put({ ...wish, ...days }))).status;
    expect([await create(), await create()]).toEqual([200, 400]);
    Object.assign(simulator.settings, { maxTokensPerOwner: 9, expiryRequired: true, maxExpiryDays: 90 });
    expect([await create(), await create({ expiryDays: 91 })]).toEqual([400, 400]);
    expect(await create({ expiryDays: 90 })).toBe(200);
  });

  test('ends by the clock of the server', async () => {
    const simulator = await start();
    const call = callWith(simulator, { expiryDays: 2 });
    expect((await call(strict)).status).toBe(200);
    simulator.settings.clockOffsetMs = 2 * 86_400_000;
    expect((await call(strict)).status).toBe(401);
  });
});

describe('who manages tokens', () => {
  test.each<[string, NewToken]>([
    ['of the user', {}],
    ['of the project', { kind: 'project', resource: 'ACME' }],
    ['of the repository', { kind: 'repository', resource: 'ACME/api' }],
  ])('no token %s does, not even its own', async (_, token) => {
    const simulator = await start();
    const { secret, id, place } = simulator.addToken(token);
    const path = { user: tokensOfAda, project: tokensOfAcme, repository: tokensOfApi }[place.kind];
    const call = callBy(simulator, `Bearer ${secret}`);
    expect((await call(path)).status).toBe(401);
    expect((await call(path, put(wishForApi))).status).toBe(401);
    expect((await call(`${path}/${id}`)).status).toBe(401);
    expect((await callBy(simulator, toBasic('ada', secret))(path)).status).toBe(401);
    simulator.settings.tokensReachThemselves = true;
    expect((await call(`${path}/${id}`)).json).toMatchObject({ id });
    expect((await call(path)).status).toBe(401);
    expect((await call(`${path}/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await call(strict)).status).toBe(401);
    simulator.assertNoFailures();
  });

  test.each<[string, string, string, number]>([
    ['ada', tokensOfAda, '', 200],
    ['bob', tokensOfAda, '', 401],
    ['root', tokensOfAda, '', 200],
    ['ada', '/rest/access-tokens/latest/users/nobody', '', 404],
    ['ada', tokensOfAcme, '', 200],
    ['bob', tokensOfAcme, '', 401],
    ['ada', tokensOfApi, '', 200],
    ['bob', tokensOfApi, '', 401],
    ['ada', '/rest/access-tokens/latest/projects/VAULT/repos/secret', '', 404],
  ])('with a password %s at %s', async (name, path, _, status) => {
    const simulator = await start();
    expect((await callBy(simulator, toBasic(name))(path)).status).toBe(status);
    simulator.assertNoFailures();
  });

  test.each([
    ['REPO_ADMIN', [401, 401, 200]],
    ['PROJECT_ADMIN', [401, 200, 200]],
    ['ACCOUNT_WRITE', [200, 404, 404]],
    ['ADMIN_WRITE', [200, 200, 200]],
  ])('with OAuth and %s', async (scope, statuses) => {
    const simulator = await start({ settings: { requiresHttpsRedirect: false } });
    const application = simulator.oauth.addApplication({ scopes: [scope] });
    const { access_token } = await signIn(simulator, application, { scope });
    const call = callBy(simulator, `Bearer ${access_token}`);
    const found = [await call(tokensOfAda), await call(tokensOfAcme), await call(tokensOfApi)];
    expect(found.map(({ status }) => status)).toEqual(statuses);
  });

  test('a licence, a restriction by the project and read-only are told by 403', async () => {
    const simulator = await start();
    simulator.state.findRepository('WEB', 'tools');
    const call = callBy(simulator, toBasic('ada'));
    const tokensOfTools = '/rest/access-tokens/latest/projects/WEB/repos/tools';
    expect((await call(tokensOfTools, put(wishForApi))).status).toBe(200);
    requireProject(simulator.state, 'WEB').restrictsSettings = true;
    expect((await call(tokensOfTools, put(wishForApi))).status).toBe(403);
    simulator.settings.isLicenceExpired = true;
    expect((await call(tokensOfAda, put(wish))).status).toBe(403);
    expect((await call(tokensOfAda)).status).toBe(200);
    simulator.settings.hasDataCenterLicence = false;
    expect((await call(tokensOfAcme)).status).toBe(403);
  });

  test('a list comes in pages, its owner only', async () => {
    const simulator = await start();
    for (let count = 0; count < 3; count += 1) simulator.addToken();
    simulator.addToken({ user: 'bob' });
    const page = (await callBy(simulator, toBasic('ada'))(`${tokensOfAda}?limit=2`)).json as Page<object>;
    expect(page).toMatchObject({ size: 2, isLastPage: false });
    simulator.assertNoFailures();
  });
});
