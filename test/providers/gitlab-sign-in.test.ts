import { describe, expect, test } from 'vitest';
import { ForbiddenError } from '../../src/errors.ts';
import { gitlabProvider } from '../../src/providers/gitlab/index.ts';
import type { OAuthSupport } from '../../src/providers/oauth-support.ts';
import { linkGitlab } from './gitlab-kit.ts';

const wish = { name: 'gitlink', redirectUri: 'http://127.0.0.1/callback' };
const oauth = requireOAuth();

function requireOAuth(): OAuthSupport {
  if (!gitlabProvider.oauth) throw new Error('People sign in at GitLab.');
  return gitlabProvider.oauth;
}

describe('signing in at GitLab', () => {
  test('uses its addresses below the host', () => {
    expect(oauth.toEndpoints({ host: 'https://h.dev/git' })).toEqual({
      authorization: 'https://h.dev/git/oauth/authorize',
      token: 'https://h.dev/git/oauth/token',
      device: 'https://h.dev/git/oauth/authorize_device',
      revocation: 'https://h.dev/git/oauth/revoke',
    });
    expect(oauth.redirect).toEqual({ host: '127.0.0.1', path: '/callback', port: null });
  });

  test('a person registers a public client with every scope that a sign-in may ask for', () => {
    const { fields } = oauth.registration('https://h.dev', wish.redirectUri);
    const scopes = new Map(fields).get('Scopes')?.split(', ') ?? [];
    for (const capability of ['clone', 'push', 'webhooks', 'namespace-webhooks'] as const) {
      expect(scopes).toEqual(expect.arrayContaining([...oauth.toScopes([capability])]));
    }
    expect(new Map(fields).get('Confidential')).toBe('no');
  });
});

describe('registering a client at GitLab', () => {
  test('makes a public one, and deletes it; once more is no error', async () => {
    const { access, gitlab } = await linkGitlab();
    const made = await oauth.createClient?.(access, wish);
    const [application] = gitlab.state.applications.values();
    expect(made).toEqual({
      id: application?.applicationId,
      secret: null,
      registrationId: String(application?.id),
    });
    expect(application).toMatchObject({ confidential: false, redirectUris: [wish.redirectUri] });
    expect(await oauth.deleteClient?.(access, made?.registrationId ?? '')).toBe('removed');
    expect(await oauth.deleteClient?.(access, made?.registrationId ?? '')).toBe('gone');
    expect(gitlab.state.applications.size).toBe(0);
  });

  test.each([
    ['gitlab.com', { settings: { isGitlabCom: true } }],
    ['an older server', { version: '18.11.0-ee' }],
  ])('%s has no API for it', async (_name, options) => {
    const { access } = await linkGitlab(options);
    expect(await oauth.createClient?.(access, wish)).toBeNull();
  });

  test('takes the scope api', async () => {
    const { access, session } = await linkGitlab({}, { scopes: ['read_api'] });
    const error = await session.fail(Promise.resolve(oauth.createClient?.(access, wish)));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect((error as ForbiddenError).hint).toContain('api');
  });
});
