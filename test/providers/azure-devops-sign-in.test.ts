import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError, UnsupportedError, UsageError } from '../../src/errors.ts';
import { oauth } from '../../src/providers/azure-devops/sign-in.ts';
import { startAzureDevops, provider } from './azure-devops-kit.ts';
import { createSession } from './provider-kit.ts';

const cloud = 'https://dev.azure.com';
const tenant = '11111111-2222-3333-4444-555555555555';

describe('where people sign in', () => {
  test("it is the organization's tenant, and any work account's where that is unknown", () => {
    expect(oauth.toEndpoints({ host: cloud, organization: 'acme', tenant })).toEqual({
      authorization: `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/authorize`,
      token: `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`,
      device: `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/devicecode`,
      revocation: null,
    });
    expect(oauth.toEndpoints({ host: cloud }).token).toContain('/organizations/');
    expect(oauth.toEndpoints({ host: 'http://127.0.0.1:1', tenant }).token).toBe(
      `http://127.0.0.1:1/login/${tenant}/oauth2/v2.0/token`,
    );
    expect(oauth.toEndpoints({ host: cloud, tenant: 'a/../b?c' }).token).toContain('/a%2F..%2Fb%3Fc/oauth2');
  });

  test('127.0.0.1 replaced by localhost: that is the name that Entra knows, with any port', () => {
    expect(oauth.redirect).toEqual({ host: 'localhost', path: '/callback', port: null });
  });

  test('a code is entered at Microsoft alone', () => {
    for (const origin of oauth.verificationOrigins?.(cloud) ?? []) {
      expect(origin).toMatch(/^https:\/\/(?:[a-z]+\.)?microsoft(?:online)?\.com$/);
    }
    expect(oauth.verificationOrigins?.('http://127.0.0.1:1/x')).toEqual(['http://127.0.0.1:1']);
  });

  test('asks for the least, by the name that Azure DevOps has in Entra', () => {
    const named = (scope: string) => `499b84ac-1321-427f-aa17-267ca6975798/${scope}`;
    expect(oauth.toScopes(['clone', 'webhooks'])).toEqual([named('vso.code'), 'offline_access']);
    expect(oauth.toScopes(['push', 'admin'])).toEqual([
      named('vso.code_write'),
      named('vso.pats_manage'),
      'offline_access',
    ]);
  });

  test.each([
    ['acme', true],
    ['homebrew', UnsupportedError],
    ['nobody', false],
  ])('whether %s has that: %s', async (organization, expected) => {
    const azure = await startAzureDevops();
    const { http } = createSession(provider).open(azure.url, null);
    const place = { host: azure.url, organization, tenant: null };
    const asked = Promise.resolve(oauth.isOffered?.(http, place));
    if (typeof expected === 'boolean') expect(await asked).toBe(expected);
    else await expect(asked).rejects.toThrow(expected);
  });

  test('a server has no Entra', async () => {
    const azure = await startAzureDevops({ deployment: 'onPremises', basePath: '/tfs' });
    const { http } = createSession(provider).open(azure.url, null);
    expect(await oauth.isOffered?.(http, { host: azure.url, organization: 'acme', tenant: null })).toBe(
      false,
    );
  });

  test('a known tenant is not asked for again', async () => {
    const azure = await startAzureDevops();
    const { http } = createSession(provider).open(azure.url, null);
    expect(await oauth.isOffered?.(http, { host: azure.url, organization: 'acme', tenant })).toBe(true);
    expect(azure.requests).toEqual([]);
  });
});

describe('what Entra says', () => {
  test.each([
    ['AADSTS65001: The user or administrator has not consented', ForbiddenError, '--method token'],
    ['AADSTS90094: The grant requires admin permission.', ForbiddenError, 'administrator'],
    ['AADSTS50020: User account from identity provider does not exist in tenant', AuthError, 'invited'],
    ["AADSTS900021: Requested tenant identifier '00000000-…' is not valid.", UsageError, '--method token'],
    ['AADSTS53003: Access has been blocked by Conditional Access policies.', ForbiddenError, 'by a code'],
    ['AADSTS7000218: The request body must contain client_secret', UsageError, 'Allow public client flows'],
    ['AADSTS50011: The redirect URI does not match', UsageError, 'http://localhost/callback'],
    ['AADSTS700016: Application was not found in the directory', UsageError, 'any organizational directory'],
  ])('%s', (description, kind, hint) => {
    const error = oauth.explainRefusal?.(cloud, { error: 'access_denied', description });
    expect(error).toBeInstanceOf(kind);
    expect(error?.hint).toContain(hint);
  });

  test.each(['AADSTS1: nothing known', 'no number', '', null])(
    '%j is left to the standard',
    (description) => {
      expect(oauth.explainRefusal?.(cloud, { error: 'access_denied', description })).toBeNull();
    },
  );

  test('the end of a sign-in is invalid_grant, and an exchange whose answer was lost may be made again', () => {
    expect(oauth.refresh.spent).toContainEqual({ error: 'invalid_grant' });
    expect(oauth.refresh.forgivesLostAnswer).toBe(true);
  });
});
