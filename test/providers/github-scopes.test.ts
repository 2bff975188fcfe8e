import { describe, expect, test } from 'vitest';
import { githubProvider } from '../../src/providers/github/index.ts';
import { installationKind, type Capability } from '../../src/providers/provider.ts';
import { oauth } from './github-kit.ts';

const compareScopes = githubProvider.compareScopes.bind(githubProvider);

describe('scopes (§15)', () => {
  test.each([
    ['repo', 'admin:repo_hook'],
    ['repo', 'public_repo'],
    ['admin:repo_hook', 'read:repo_hook'],
    ['admin:org', 'read:org'],
    ['user', 'user:email'],
    ['contents:write', 'contents:read'],
    ['organization_administration:admin', 'organization_administration:read'],
  ])('%s includes %s, and not the other way round', (large, small) => {
    expect(compareScopes([large], [small])).toEqual({ missing: [], excess: [large] });
    expect(compareScopes([small], [large]).missing).toEqual([large]);
  });

  test('permissions of different things have nothing to do with each other', () => {
    expect(compareScopes(['contents:write'], ['repository_hooks:write'])).toEqual({
      missing: ['repository_hooks:write'],
      excess: ['contents:write'],
    });
  });

  test('that a sign-in is renewed, metadata, and what events take are no excess; more of it is', () => {
    const events = ['contents:read', 'pull_requests:read', 'issues:read'];
    expect(compareScopes(events, ['contents:read']).excess).toEqual([]);
    expect(compareScopes(['pull_requests:write'], ['contents:read']).excess).toEqual(['pull_requests:write']);
    expect(compareScopes(['repo', 'offline_access'], ['repo']).excess).toEqual([]);
    expect(compareScopes(['contents:read', 'metadata:read'], ['contents:read']).excess).toEqual([]);
  });

  test('fine-grained and installation tokens are measured by permissions, the others by scopes', () => {
    for (const kind of ['fine-grained-token', installationKind]) {
      expect(githubProvider.scopesOf?.(kind)).toMatchObject({
        clone: ['contents:read'],
        push: ['contents:write'],
        webhooks: ['repository_hooks:write'],
      });
    }
    expect(githubProvider.scopesOf?.('personal-access-token')).toBeNull();
  });

  test('a sign-in asks for no more than it needs, and for tokens that are renewed (§0 no. 6)', () => {
    expect(oauth.toScopes(['clone', 'webhooks'])).toEqual(['offline_access', 'read:org', 'repo']);
    expect(oauth.toScopes(['namespace-webhooks'])).toContain('admin:org_hook');
  });
});

describe('the page for a new token', () => {
  const usual: readonly Capability[] = ['clone', 'webhooks'];

  test.each(['https://github.com', 'https://acme.ghe.com'])(
    'of %s is that of a fine-grained one, filled in',
    (host) => {
      const { url, instructions } = githubProvider.tokenPage({ host }, usual);
      const page = new URL(url);
      expect(`${page.origin}${page.pathname}`).toBe(`${host}/settings/personal-access-tokens/new`);
      expect(Object.fromEntries(page.searchParams)).toEqual({
        name: 'gitlink',
        expires_in: '90',
        metadata: 'read',
        contents: 'read',
        repository_hooks: 'write',
      });
      expect(instructions).toContain('repositories');
    },
  );

  test('of an Enterprise Server is that of a classic one', () => {
    const { url } = githubProvider.tokenPage({ host: 'https://github.acme.dev' }, usual);
    expect(url).toBe(
      'https://github.acme.dev/settings/tokens/new?scopes=read:org,repo&description=gitlink'.replaceAll(
        ':org',
        '%3Aorg',
      ),
    );
  });

  test.each([
    ['personal-access-token', 'settings/tokens'],
    ['legacy-token', 'settings/tokens'],
    ['fine-grained-token', 'settings/personal-access-tokens'],
    ['oauth-token', 'settings/applications'],
    [installationKind, 'settings/installations'],
  ])('a %s is ended at %s', (kind, page) => {
    const host = 'https://github.com';
    const account = { login: 'ada', kind: 'user', id: '1' } as const;
    expect(githubProvider.credentialPage?.({ host }, account, kind)).toBe(`${host}/${page}`);
  });
});
