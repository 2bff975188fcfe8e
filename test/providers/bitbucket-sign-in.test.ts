import { describe, expect, test } from 'vitest';
import { ForbiddenError, UsageError } from '../../src/errors.ts';
import { compareScopes, scopes } from '../../src/providers/bitbucket/scopes.ts';
import { oauth } from '../../src/providers/bitbucket/sign-in.ts';
import { toTokenPage } from '../../src/providers/bitbucket/tokens.ts';
import type { Capability } from '../../src/providers/provider.ts';

const cloud = 'https://bitbucket.org';

function needed(...capabilities: readonly Capability[]): readonly string[] {
  return capabilities.flatMap((capability) => scopes[capability] ?? []);
}

describe('signing in at Bitbucket', () => {
  test('fact 2: a consumer proves itself with its secret at the two addresses that there are', () => {
    expect(oauth.clientAuthentication).toBe('basic');
    expect(oauth.redirect).toEqual({ host: '127.0.0.1', path: '/callback', port: 34_119 });
    expect(oauth.toEndpoints({ host: cloud })).toEqual({
      authorization: `${cloud}/site/oauth2/authorize`,
      token: `${cloud}/site/oauth2/access_token`,
      device: null,
      revocation: null,
    });
    expect('createClient' in oauth).toBe(false);
  });

  test('fact 3: a refresh token works once, and a lost answer may be asked for again at once', () => {
    expect(oauth.refresh).toMatchObject({
      spent: [{ error: 'invalid_grant' }],
      secondTryAfterMs: null,
      forgivesLostAnswer: true,
    });
  });

  test('a person registers the consumer in a workspace, with every field named', () => {
    const { url, fields } = oauth.registration(cloud, 'http://127.0.0.1:34119/callback');
    expect(url).toBe(`${cloud}/account/workspaces/`);
    expect(fields).toEqual(
      expect.arrayContaining([
        ['Callback URL', 'http://127.0.0.1:34119/callback'],
        ['This is a private consumer', 'not ticked'],
        ['Webhooks', 'Read and write'],
      ]),
    );
  });

  test.each([
    ['invalid_scope', null, ForbiddenError],
    ['invalid_request', 'No callback uri defined for the OAuth client.', UsageError],
  ] as const)('%s means that the consumer is to be changed', (error, description, kind) => {
    const explained = oauth.explainRefusal?.(cloud, { error, description });
    expect(explained).toBeInstanceOf(kind);
    expect(explained?.hint).toContain('OAuth consumers');
  });

  test('any other refusal means what the standard says', () => {
    expect(oauth.explainRefusal?.(cloud, { error: 'access_denied', description: null })).toBeNull();
    expect(oauth.explainRefusal?.(cloud, { error: 'invalid_request', description: 'other' })).toBeNull();
  });
});

describe('Bitbucket scopes', () => {
  test.each([
    [['clone'], ['account', 'project', 'repository']],
    [
      ['clone', 'webhooks'],
      ['account', 'project', 'pullrequest', 'repository', 'webhook'],
    ],
    [['push'], ['account', 'project', 'repository', 'repository:write']],
  ] as const)('A20: for %j a sign-in asks for %j', (capabilities, least) => {
    expect(oauth.toScopes(capabilities)).toEqual(least);
  });

  test.each([
    ['repository:write', 'repository'],
    ['pullrequest', 'repository'],
    ['pullrequest:write', 'repository:write'],
    ['pullrequest:write', 'pullrequest'],
    ['project', 'repository'],
  ])('%s includes %s', (scope, included) => {
    expect(compareScopes([scope], [included]).missing).toEqual([]);
    expect(compareScopes([included], [scope])).toEqual({ missing: [scope], excess: [] });
  });

  test.each([
    ['repository:admin', 'repository'],
    ['project:admin', 'project'],
    ['webhook', 'repository'],
    ['write:repository:bitbucket', 'read:repository:bitbucket'],
    ['admin:repository:bitbucket', 'read:repository:bitbucket'],
  ])('%s does not include %s', (scope, other) => {
    expect(compareScopes([scope], [other])).toEqual({ missing: [other], excess: [scope] });
  });

  test('each language is judged by itself', () => {
    const wanted = needed('identity', 'list', 'namespaces', 'clone', 'webhooks');
    expect(compareScopes(['account', 'project', 'pullrequest', 'webhook'], wanted)).toEqual({
      missing: [],
      excess: [],
    });
    expect(compareScopes(['account', 'repository'], wanted).missing).toEqual([
      'project',
      'pullrequest',
      'webhook',
    ]);
    expect(
      compareScopes(['read:user:bitbucket', 'write:webhook:bitbucket'], needed('identity', 'webhooks')),
    ).toEqual({
      missing: [
        'delete:webhook:bitbucket',
        'read:pullrequest:bitbucket',
        'read:repository:bitbucket',
        'read:webhook:bitbucket',
      ],
      excess: [],
    });
    expect(compareScopes(['read:issue:bitbucket'], needed('identity')).excess).toEqual([
      'read:issue:bitbucket',
    ]);
  });

  test('an access token is not blamed for what it cannot be given', () => {
    const wanted = needed('identity', 'list', 'namespaces', 'clone');
    expect(compareScopes(['repository'], wanted, 'repository-access-token').missing).toEqual([]);
    expect(compareScopes(['repository'], wanted, 'project-access-token').missing).toEqual(['project']);
    expect(compareScopes(['repository'], wanted, 'workspace-access-token').missing).toEqual(['project']);
    expect(compareScopes(['repository'], wanted).missing).toEqual(['account', 'project']);
  });

  test('the page for a token is that of the Atlassian account, and the scopes are those of API tokens', () => {
    const { url, instructions } = toTokenPage({ host: cloud }, ['clone']);
    expect(url).toBe('https://id.atlassian.com/manage-profile/security/api-tokens');
    expect(instructions).toContain(
      'the scopes read:project:bitbucket, read:repository:bitbucket, read:user:bitbucket, read:workspace:bitbucket.',
    );
    expect(instructions).toContain('--email');
  });
});
