import { describe, expect, test } from 'vitest';
import type { GiteaSimulatorOptions } from './gitea/server.ts';
import { callAs, forgejo, gitea122, gitea126, messageOf, start } from './gitea-kit.ts';
import { sendRequest, type SentRequest } from './send-request.ts';

describe('tokens', () => {
  test('look like 40 hex digits and differ between servers', async () => {
    const [first, second] = [callAs(await start(), ['all']), callAs(await start(), ['all'])];
    expect(first.secret).toMatch(/^[0-9a-f]{40}$/);
    expect(second.secret).not.toBe(first.secret);
  });

  test.each([
    ['Gitea 1.27', {}, 200, 204],
    ['Gitea 1.26', gitea126, 404, 404],
    ['Forgejo', forgejo, 404, 404],
  ])('%s: reading the own token is %s %i, deleting it %i', async (_, options, read, deleted) => {
    const simulator = await start(options);
    const call = callAs(simulator, ['read:misc']);
    const response = await call('/api/v1/token');
    expect(response.status).toBe(read);
    if (read === 200) expect(response.json).toMatchObject({ scopes: ['read:misc'], user: { login: 'ada' } });
    expect((await call('/api/v1/token', { method: 'DELETE' })).status).toBe(deleted);
    expect((await call('/api/v1/user')).status).toBe(deleted === 204 ? 401 : 403);
    simulator.assertNoFailures();
  });

  const missing = '/api/v1/user/repos';
  test.each<[string, GiteaSimulatorOptions, string[], string, string]>([
    [
      'Gitea 1.27 tells what the token has',
      {},
      ['read:repository', 'write:user', 'read:user'],
      '/api/v1/user/orgs',
      'token does not have at least one of required scope(s), required=[read:user read:organization], token scope=read:repository,write:user',
    ],
    [
      'Gitea 1.27 asks for user before repository',
      {},
      ['read:misc'],
      missing,
      'token does not have at least one of required scope(s), required=[read:user], token scope=read:misc',
    ],
    [
      'Gitea 1.22 tells what it wants',
      gitea122,
      ['read:user'],
      missing,
      'token does not have at least one of required scope(s): [read:repository]',
    ],
    [
      'Forgejo tells what it wants',
      forgejo,
      ['read:user'],
      missing,
      'token does not have at least one of required scope(s): [read:repository]',
    ],
  ])('%s', async (_, options, scopes, path, message) => {
    const response = await callAs(await start(options), scopes)(path);
    expect(response.status).toBe(403);
    expect(messageOf(response)).toBe(message);
  });

  test.each([
    ['Gitea 1.27', {}, 'invalid username, password or token'],
    ['Gitea 1.26', gitea126, 'user does not exist [uid: 0, name: ]'],
    ['Forgejo', forgejo, 'user does not exist [uid: 0, name: ]'],
  ])('%s: a wrong token is 401 "%s%s"', async (_, options, message) => {
    const simulator = await start(options);
    const response = await sendRequest(`${simulator.url}/api/v1/user`, { authorization: 'token canary' });
    expect(response.status).toBe(401);
    expect(messageOf(response)).toBe(message);
    expect(messageOf(await sendRequest(`${simulator.url}/api/v1/user`))).toBe('token is required');
  });

  const mint = { json: { name: 'second', scopes: ['read:user'] } };
  const mintBroader = { json: { name: 'second', scopes: ['all'] } };
  test.each<[string, GiteaSimulatorOptions, string[], 'token' | 'basic', SentRequest, number]>([
    ['Gitea: list with Basic', {}, ['read:user'], 'basic', {}, 200],
    ['Gitea: list with a header', {}, ['read:user'], 'token', {}, 401],
    ['Forgejo: list with a header', forgejo, ['read:user'], 'token', {}, 200],
    ['Gitea: create with Basic', {}, ['write:user'], 'basic', mint, 201],
    ['Gitea: create with Basic, reading only', {}, ['read:user'], 'basic', mint, 403],
    ['Gitea: create with a header', {}, ['all'], 'token', mint, 401],
    ['Gitea 1.27: create a broader one', {}, ['write:user'], 'basic', mintBroader, 403],
    ['Gitea 1.26: create a broader one', gitea126, ['write:user'], 'basic', mintBroader, 201],
    ['Forgejo: create with a token inside Basic', forgejo, ['all'], 'basic', mint, 401],
    ['Gitea: create without scopes', {}, ['all'], 'basic', { json: { name: 'second', scopes: [] } }, 400],
    [
      'Gitea: create with a wrong scope',
      {},
      ['all'],
      'basic',
      { json: { name: 'second', scopes: ['x'] } },
      400,
    ],
  ])('%s', async (_, options, scopes, how, sent, status) => {
    const simulator = await start(options);
    const response = await callAs(simulator, scopes, how)('/api/v1/users/ada/tokens', sent);
    expect(response.status).toBe(status);
    simulator.assertNoFailures();
  });

  test('by password both create and delete; a name that is taken is 400, a second factor is asked for', async () => {
    const users = [{ login: 'ada' }, { login: 'eve', otp: '123456' }];
    const simulator = await start({ ...forgejo, world: { users } });
    const call = (login: string, path: string, sent: SentRequest = {}) =>
      sendRequest(`${simulator.url}/api/v1/users/${login}/tokens${path}`, {
        authorization: `Basic ${btoa(`${login}:canary-password-of-${login}`)}`,
        ...sent,
      });
    const made = await call('ada', '', mint);
    expect(made.json).toMatchObject({
      scopes: ['read:user'],
      sha1: expect.stringMatching(/^[0-9a-f]{40}$/) as unknown,
    });
    expect((await call('ada', '', mint)).status).toBe(400);
    expect((await call('ada', '/second', { method: 'DELETE' })).status).toBe(204);
    expect(messageOf(await call('eve', ''))).toBe('invalid provided OTP');
    expect((await call('eve', '', { headers: { 'x-forgejo-otp': '123456' } })).status).toBe(200);
  });

  test('a repository-specific token of Forgejo reads what is public, works in its own, and rules nothing', async () => {
    const simulator = await start(forgejo);
    const { secret } = simulator.addToken({
      user: 'ada',
      scopes: ['write:repository'],
      repositories: ['acme/api'],
    });
    const ask = async (path: string) =>
      (await sendRequest(`${simulator.url}/api/v1${path}`, { authorization: `token ${secret}` })).status;
    expect(await ask('/repos/acme/api')).toBe(200);
    expect(await ask('/repos/ada/site')).toBe(200);
    expect(await ask('/repos/ada/notes')).toBe(404);
    expect(await ask('/repos/acme/api/hooks')).toBe(403);
    expect(await ask('/user')).toBe(403);
  });

  test.each([
    ['Gitea 1.27', {}, 404],
    ['Gitea 1.26', gitea126, 403],
    ['Forgejo', forgejo, 404],
  ])('%s: a public-only token gets %s%i for what is private', async (_, options, status) => {
    const call = callAs(await start(options), ['all', 'public-only']);
    expect((await call('/api/v1/repos/ada/notes')).status).toBe(status);
    const listed = (await call('/api/v1/user/repos')).json as { full_name: string }[];
    expect(listed.map((repository) => repository.full_name)).toEqual(['ada/site', 'bob/tools']);
  });
});
