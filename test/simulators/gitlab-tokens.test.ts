import { describe, expect, test } from 'vitest';
import type { NewToken } from './gitlab/token-state.ts';
import { callBy, callWith, dayIn, start } from './gitlab-kit.ts';

const self = '/api/v4/personal_access_tokens/self';
const rotateSelf = `${self}/rotate`;
const rotateOfProject = '/api/v4/projects/acme%2Fapi/access_tokens/self/rotate';
const inAYear = { json: { expires_at: dayIn(300) } };

describe('a token', () => {
  test.each<[string, NewToken, RegExp]>([
    ['legacy', {}, /^glpat-[\w-]{20}$/],
    ['routable', { shape: 'routable' }, /^glpat-[\w=-]{27,300}\.[0-9a-z]{2}\.[0-9a-z]{9}$/],
    ['of an instance with a prefix', { prefix: 'acme-glpat-' }, /^acme-glpat-[\w-]{20}$/],
    ['to deploy', { kind: 'deploy', resource: 'acme/api', scopes: ['read_repository'] }, /^gldt-/],
  ])('%s has its shape, and says that it is none', async (_, spec, shape) => {
    const { secret } = (await start()).addToken(spec);
    expect(secret).toMatch(shape);
    expect(secret).toContain('canary');
  });

  test('tells everything of itself with any scope, and nothing else without the right one', async () => {
    const simulator = await start();
    const call = callWith(simulator, { scopes: ['read_repository'], name: 'laptop', expiresAt: dayIn(9) });
    expect((await call(self)).json).toMatchObject({
      name: 'laptop',
      active: true,
      expires_at: dayIn(9),
      last_used_ips: [expect.anything() as unknown],
    });
    const refused = await call('/api/v4/user');
    expect(refused.status).toBe(403);
    expect(refused.headers['www-authenticate']).toBeUndefined();
    expect(refused.json).toEqual({
      error: 'insufficient_scope',
      error_description: 'The request requires higher privileges than provided by the access token.',
      scope: 'api read_api read_user',
    });
    const { groups, projects } = (await call(`${self}/associations?min_access_level=50`)).json as Record<
      string,
      { access_levels: unknown }[]
    >;
    expect(groups?.[0]?.access_levels).toBe(50);
    expect(projects?.[0]?.access_levels).toMatchObject({
      project_access_level: 50,
      group_access_level: null,
    });
    simulator.assertNoFailures();
  });

  test.each<[string, NewToken, object]>([
    ['a person', {}, { bot: false, username: 'ada' }],
    [
      'a project',
      { kind: 'project', resource: 'acme/api' },
      { bot: true, username: expect.stringMatching(/^project_\d+_bot_[0-9a-f]{32}$/) as unknown },
    ],
    [
      'a group',
      { kind: 'group', resource: 'acme' },
      { bot: true, username: expect.stringMatching(/^group_\d+_bot_/) as unknown },
    ],
    ['a service account', { kind: 'serviceAccount', user: 'service_account_group_31_canary' }, { bot: true }],
  ])('of %s acts as it', async (_, spec, user) => {
    expect((await callWith(await start(), spec)('/api/v4/user')).json).toMatchObject(user);
  });

  test('dies when its day begins, when it is revoked, and with its user; each in other words', async () => {
    const simulator = await start();
    const describe = async (secret: string) => (await callBy(simulator, secret)(self)).json;
    const old = simulator.addToken({ expiresAt: dayIn(0) });
    expect(await describe(old.secret)).toMatchObject({
      error_description: expect.stringContaining('expired') as unknown,
    });
    const call = callWith(simulator, { scopes: ['self_rotate'] });
    expect((await call(self, { method: 'DELETE' })).status).toBe(204);
    const revoked = await call(self);
    expect(revoked.headers['www-authenticate']).toContain('invalid_token');
    expect(revoked.json).toMatchObject({
      error: 'invalid_token',
      error_description: expect.stringContaining('revoked') as unknown,
    });
    expect(await describe('canary')).toEqual({ message: '401 Unauthorized' });
    const deploy = simulator.addToken({ kind: 'deploy', resource: 'acme/api', scopes: ['read_repository'] });
    expect(await describe(deploy.secret)).toEqual({ message: '401 Unauthorized' });
    const { secret } = simulator.addToken({ user: 'bob' });
    for (const user of simulator.state.users.values()) user.state = 'blocked';
    expect(await describe(secret)).toEqual({ message: '403 Forbidden - Your account has been blocked.' });
  });

  test('fine-grained: only its permissions in its places count', async () => {
    const simulator = await start();
    const call = callWith(simulator, {
      kind: 'fineGrained',
      granularScopes: [
        {
          access: 'selected_memberships',
          projects: ['acme/api'],
          permissions: ['read_webhook', 'read_project'],
        },
        { access: 'user', permissions: ['read_user'] },
      ],
    });
    expect((await call(self)).json).toMatchObject({
      granular_scopes: [{ access: 'selected_memberships' }, { access: 'user' }],
    });
    expect((await call('/api/v4/user')).status).toBe(200);
    expect((await call('/api/v4/projects/acme%2Fapi/hooks')).status).toBe(200);
    const refused = [
      await call('/api/v4/projects/ada%2Fsite'),
      await call('/api/v4/projects/acme%2Fapi/hooks', { json: { url: 'http://127.0.0.1:9/' } }),
      await call('/api/v4/metadata'),
    ];
    for (const { status, json } of refused) {
      expect(status).toBe(403);
      expect(json).toMatchObject({ error: 'insufficient_granular_scope' });
    }
  });
});

describe('rotating', () => {
  test('gives a new token with a new number and the same powers, and ends the old one', async () => {
    const simulator = await start();
    const call = callWith(simulator, { scopes: ['read_repository', 'self_rotate'] });
    const before = (await call(self)).json as { id: number };
    const rotated = await call(rotateSelf, inAYear);
    expect(rotated.status).toBe(200);
    const { id, token } = rotated.json as { id: number; token: string };
    expect(rotated.json).toMatchObject({
      scopes: ['read_repository', 'self_rotate'],
      expires_at: dayIn(300),
    });
    expect(id).not.toBe(before.id);
    expect((await callBy(simulator, token)(self)).status).toBe(200);
    expect((await call(self)).status).toBe(401);
    simulator.assertNoFailures();
  });

  test('a used token at a rotate endpoint ends the whole family; elsewhere it does not', async () => {
    const simulator = await start();
    const call = callWith(simulator);
    const { token } = (await call(rotateSelf, inAYear)).json as { token: string };
    const next = callBy(simulator, token);
    await call(self);
    expect((await next(self)).status).toBe(200);
    expect((await call(rotateSelf, inAYear)).status).toBe(401);
    expect((await next(self)).status).toBe(401);
  });

  test('without a date the new token lives a week, and the test fails', async () => {
    const simulator = await start();
    const { json } = await callWith(simulator)(rotateSelf, { json: {} });
    expect(json).toMatchObject({ expires_at: dayIn(7) });
    expect(() => simulator.assertNoFailures()).toThrow('without expires_at');
  });

  const projectToken = { kind: 'project', resource: 'acme/api' } as const;
  test.each<[string, NewToken, string, string, number]>([
    ['a project token at its own address', projectToken, rotateOfProject, dayIn(300), 200],
    ['a project token at the personal address', projectToken, rotateSelf, dayIn(300), 405],
    ['a personal token at that of a project', {}, rotateOfProject, dayIn(300), 405],
    [
      'a group token at its group',
      { kind: 'group', resource: 'acme' },
      '/api/v4/groups/acme/access_tokens/self/rotate',
      dayIn(300),
      200,
    ],
    ['a token without the scope', { scopes: ['read_api'] }, rotateSelf, dayIn(300), 403],
    ['too long a life', {}, rotateSelf, dayIn(500), 400],
    ['a day that is over', {}, rotateSelf, dayIn(-2), 400],
  ])('%s', async (_, spec, path, expires_at, status) => {
    const simulator = await start();
    const response = await callWith(simulator, spec)(path, { json: { expires_at } });
    expect(response.status, response.text).toBe(status);
    simulator.assertNoFailures();
  });

  test("where fine-grained tokens are enforced, people's legacy ones are not renewed, and bots' are", async () => {
    const simulator = await start({ settings: { enforcesFineGrainedTokens: true } });
    expect((await callWith(simulator)(rotateSelf, inAYear)).json).toMatchObject({
      message: expect.stringContaining('is disabled') as unknown,
    });
    expect((await callWith(simulator, projectToken)(rotateOfProject, inAYear)).status).toBe(200);
  });

  test('before 17.9 the scope self_rotate is not enough', async () => {
    const simulator = await start({ version: '17.8.0-ee' });
    expect((await callWith(simulator, { scopes: ['self_rotate'] })(rotateSelf, inAYear)).status).toBe(403);
  });
});
