import { describe, expect, test } from 'vitest';
import { signInKind, type Capability, type Provider } from '../../src/providers/provider.ts';
import { Secret } from '../../src/secret.ts';

const capabilities: readonly Capability[] = [
  'identity',
  'list',
  'namespaces',
  'clone',
  'push',
  'webhooks',
  'namespace-webhooks',
  'admin',
];

/** What every adapter says without asking its host: scopes, pages, names for git, addresses to sign in at. */
export function describeProviderData(provider: Provider): void {
  describe('scopes', () => {
    const known = [...new Set(Object.values(provider.scopes).flat())];
    const sets = [
      [],
      ...known.map((scope) => [scope]),
      known,
      ...known.map((scope) => known.filter((other) => other !== scope)),
    ];

    test('comparing obeys its laws', () => {
      for (const needed of sets) {
        expect(provider.compareScopes(needed, needed)).toEqual({ missing: [], excess: [] });
        expect(provider.compareScopes([], needed)).toEqual({ missing: [...needed].sort(), excess: [] });
        for (const granted of sets) {
          const { missing, excess } = provider.compareScopes(granted, needed);
          expect(missing.every((scope) => needed.includes(scope) && !granted.includes(scope))).toBe(true);
          expect(excess.every((scope) => granted.includes(scope) && !needed.includes(scope))).toBe(true);
          expect(provider.compareScopes([...granted, ...needed], needed).missing).toEqual([]);
        }
      }
    });

    test('the page for a token leads to the host', () => {
      for (const capability of capabilities) {
        const { url, instructions } = provider.tokenPage({ host: 'https://h.dev/git' }, [capability]);
        expect(url).toMatch(/^https:\/\/h\.dev\/git\//);
        const needed = provider.scopes[capability] ?? [];
        const named = instructions.match(/[\w:]+(?:\.[\w:]+)*/g) ?? [];
        expect(provider.compareScopes(named, needed).missing).toEqual([]);
      }
    });
  });

  describe('git', () => {
    test('gets the token and a name that can be sent', () => {
      const token = new Secret('git-canary');
      for (const kind of ['personal-access-token', signInKind, 'deploy-token']) {
        for (const login of ['ada', null]) {
          const account = { login, kind: 'user', id: '1' } as const;
          const told = provider.git.toGitCredential({ kind, token }, account);
          if ('username' in told) expect(told.username).toMatch(/^[\w.+-]+$/);
          expect(('username' in told ? told.password : told.bearer).equals(token)).toBe(true);
        }
      }
    });
  });

  describe.runIf(provider.oauth)('signing in', () => {
    test("every address is the host's own", () => {
      const oauth = requireOAuth(provider);
      const { authorization, token, device, revocation } = oauth.toEndpoints({ host: 'https://h.dev/git' });
      const pages = [oauth.grantsPage('https://h.dev/git'), oauth.registration('https://h.dev/git', 'x').url];
      for (const url of [authorization, token, device, revocation, ...pages]) {
        if (url !== null) expect(url).toMatch(/^https:\/\/h\.dev\/git\/\S+$/);
      }
    });

    test('asks for scopes that are enough for what is wanted', () => {
      const oauth = requireOAuth(provider);
      for (const capability of capabilities.filter(
        (name) => !['namespace-webhooks', 'admin'].includes(name),
      )) {
        const needed = ['identity', 'list', capability].flatMap(
          (name) => provider.scopes[name as Capability] ?? [],
        );
        const asked = oauth.toScopes([capability]);
        expect(provider.compareScopes(asked, needed).missing).toEqual([]);
        if (oauth.hasConstantScopes) expect(asked).toEqual(oauth.toScopes([]));
      }
    });

    test('a person is told the redirect to register', () => {
      const { fields } = requireOAuth(provider).registration('https://h.dev', 'http://127.0.0.1/callback');
      expect(fields.map(([, value]) => value)).toContain('http://127.0.0.1/callback');
    });
  });
}

function requireOAuth({ oauth }: Provider): NonNullable<Provider['oauth']> {
  if (!oauth) throw new Error('Nobody signs in at this provider.');
  return oauth;
}
