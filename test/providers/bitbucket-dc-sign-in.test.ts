import { describe, expect, test } from 'vitest';
import { ForbiddenError } from '../../src/errors.ts';
import { bitbucketDcProvider as provider } from '../../src/providers/bitbucket-dc/index.ts';
import type { OAuthSupport } from '../../src/providers/oauth-support.ts';
import { createTestClient } from '../http/http-kit.ts';
import { startDc } from './bitbucket-dc-kit.ts';

const oauth = requireOAuth();

function requireOAuth(): OAuthSupport {
  if (!provider.oauth) throw new Error('People sign in at Data Center.');
  return provider.oauth;
}

describe('signing in at Data Center', () => {
  test('uses its addresses below the context path, and one fixed port', () => {
    expect(oauth.toEndpoints({ host: 'https://h.dev/git' })).toEqual({
      authorization: 'https://h.dev/git/rest/oauth2/latest/authorize',
      token: 'https://h.dev/git/rest/oauth2/latest/token',
      device: null,
      revocation: 'https://h.dev/git/rest/oauth2/latest/revoke',
    });
    expect(oauth.redirect).toEqual({ host: '127.0.0.1', path: '/callback', port: 34_119 });
    expect(oauth.refresh).toMatchObject({ repeatsRedirect: true, spent: [{ error: 'invalid_grant' }] });
  });

  test.each([
    ['9.4.3', true],
    ['7.19.0', false],
  ])('%s offers it: %s', async (version, isThere) => {
    const { url } = await startDc({ version });
    const web = createTestClient(url, { userAgent: 'gitlink/test' });
    expect(await oauth.isOffered?.(web, { host: url })).toBe(isThere);
  });

  test('fact 1: a person is told, when registering and when refused, that a token is the way without HTTPS', () => {
    const { url, fields } = oauth.registration('https://h.dev', 'http://127.0.0.1:34119/callback');
    expect(url).toBe('https://h.dev/plugins/servlet/applinks/listApplicationLinks');
    expect(fields.flat().join(' ')).toMatch(/HTTPS.*--method token/);
    const failure = { error: 'invalid_request', description: 'The redirect URL must use HTTPS.' };
    const refusal = oauth.explainRefusal?.('https://h.dev', failure);
    expect(refusal).toBeInstanceOf(ForbiddenError);
    expect(refusal?.hint).toContain('--method token');
    expect(oauth.explainRefusal?.('https://h.dev', { error: 'access_denied', description: null })).toBeNull();
  });

  test('asks for the least that is enough', () => {
    expect(oauth.toScopes([])).toEqual(['REPO_READ']);
    expect(oauth.toScopes(['clone', 'push'])).toEqual(['REPO_WRITE']);
    expect(oauth.toScopes(['clone', 'webhooks'])).toEqual(['REPO_ADMIN']);
    expect(oauth.toScopes(['namespace-webhooks'])).toEqual(['PROJECT_ADMIN']);
  });
});

describe('recognising Data Center', () => {
  test('is by what every instance says, whatever its administrator named it', async () => {
    const dc = await startDc({ version: '8.19.12' });
    const client = createTestClient(provider.toApiBase(dc.url), { userAgent: 'gitlink/test' });
    const wanted = { host: dc.url, flavour: 'bitbucket-dc', version: '8.19.12' };
    expect(await provider.recognise(dc.url, client)).toEqual(wanted);
    const json = { version: '8.19.12', buildNumber: '8019012', buildDate: '1', displayName: 'Our code' };
    dc.faults.add({ fault: { kind: 'answer', answer: { status: 200, json } } });
    expect(await provider.recognise(dc.url, client)).toEqual(wanted);
  });
});
