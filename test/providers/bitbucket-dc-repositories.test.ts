import { describe, expect, test } from 'vitest';
import { bitbucketDcProvider as provider } from '../../src/providers/bitbucket-dc/index.ts';
import { linkDc } from './bitbucket-dc-kit.ts';
import { collect, pick } from './provider-kit.ts';

describe('repositories of Data Center', () => {
  test('are those with a permission, and say which webhooks may be managed', async () => {
    const { access } = await linkDc();
    const found = await collect(provider.listRepositories(access, null));
    // VAULT/handbook is public, which is no permission.
    expect(found.map(({ fullName }) => fullName).sort()).toEqual([
      'ACME/api',
      'ACME/empty',
      'ACME/old',
      'WEB/shop',
      'WEB/tools',
      '~ada/notes',
    ]);
    expect(pick(found, 'WEB/shop')).toMatchObject({ canManageWebhooks: false });
    expect(pick(found, 'WEB/tools')).toMatchObject({ canManageWebhooks: true, namespace: 'WEB' });
    expect(await provider.findRepository(access, 'WEB/tools')).toEqual(pick(found, 'WEB/tools'));
    expect(pick(found, 'ACME/api').cloneUrl).toBe(`${access.host}/scm/acme/api.git`);
  });

  test('of one project are only its own, also where the server does not know the filter', async () => {
    const { access } = await linkDc({ version: '7.21.0' });
    const found = await collect(provider.listRepositories(access, 'web'));
    expect(found.map(({ fullName }) => fullName).sort()).toEqual(['WEB/shop', 'WEB/tools']);
  });

  test('that one may not see are not there, whatever the server calls that', async () => {
    for (const hidesRepositories of [true, false]) {
      const { access } = await linkDc({ settings: { hidesRepositories } });
      expect(await provider.findRepository(access, 'VAULT/secret')).toBeNull();
    }
  });

  test('of a token that reads no projects give the namespaces', async () => {
    const { access } = await linkDc({}, { kind: 'repository', resource: 'ACME/api' });
    expect(await collect(provider.listNamespaces(access))).toEqual([{ path: 'ACME', kind: 'project' }]);
  });

  test('the rate limit of a server that says no time is waited for', async () => {
    const { access, dc } = await linkDc();
    const answer = { status: 429, text: '<html></html>', contentType: 'text/html' };
    dc.faults.add({ fault: { kind: 'answer', answer }, times: 3 });
    const found = await collect(provider.listRepositories(access, 'ACME'));
    expect(found).toHaveLength(3);
  });
});
