import type { PlainAnswer, Route } from '../routes.ts';
import { answerAbsent, type Call, type GitlabContext } from './call.ts';
import { readQuery } from './parameters.ts';
import { oauthScopes } from './scopes.ts';
import type { Api } from './server.ts';
import type { GitlabUser } from './state.ts';

const readMetadata = {
  scopes: ['api', 'read_api', 'read_user'],
  permission: 'read_metadata',
  boundary: 'instance',
} as const;
const readSelf = {
  scopes: ['api', 'read_api', 'read_user'],
  permission: 'read_user',
  boundary: 'user',
} as const;

/** What the server says of itself, and who the caller is (`providers/gitlab.md` §1, §3.1). */
export function listInstanceRoutes(context: GitlabContext, api: Api): Route[] {
  return [
    { method: 'GET', template: '/api/v4/version', handle: api(readMetadata, readVersion) },
    {
      method: 'GET',
      template: '/api/v4/metadata',
      handle: context.behaviour.hasMetadata ? api(readMetadata, readVersion) : answerAbsent,
    },
    { method: 'GET', template: '/api/v4/user', handle: api(readSelf, readUser) },
    { method: 'GET', template: '/users/sign_in', undescribed: true, handle: () => signInPage },
    {
      method: 'GET',
      template: '/.well-known/openid-configuration',
      undescribed: true,
      handle: () => ({ status: 200, json: describeOpenId(context) }),
    },
  ];
}

/** What a browser gets that is not signed in, and whatever asks for a page that is not there. */
export const signInPage: PlainAnswer = {
  status: 200,
  text: '<!doctype html><html lang="en"><head><title>Sign in · GitLab</title></head><body></body></html>',
  contentType: 'text/html; charset=utf-8',
};

function readVersion(call: Call): PlainAnswer {
  readQuery(call, {});
  const { version, isEnterprise } = call.behaviour;
  const kas = {
    enabled: false,
    externalUrl: null,
    externalK8sProxyUrl: null,
    version: null,
  };
  return { status: 200, json: { version, revision: '0123canary', kas, enterprise: isEnterprise } };
}

function readUser(call: Call): PlainAnswer {
  readQuery(call, {});
  return { status: 200, json: toUserJson(call, call.actor.user) };
}

function toUserJson({ baseUrl }: Call, user: GitlabUser) {
  const isBot = user.kind !== 'human';
  const email = isBot
    ? `${user.username}@noreply.${new URL(baseUrl()).hostname}`
    : `${user.username}@acme.test`;
  return {
    id: user.id,
    username: user.username,
    public_email: '',
    name: user.name,
    state: user.state,
    locked: false,
    avatar_url: null,
    web_url: `${baseUrl()}/${user.username}`,
    created_at: user.createdAt.toISOString(),
    bio: '',
    location: '',
    bot: isBot,
    email,
    commit_email: email,
    external: false,
    two_factor_enabled: false,
    private_profile: false,
    namespace_id: user.namespaceId,
    ...(user.isAdmin ? { is_admin: true } : {}),
  };
}

function describeOpenId({ baseUrl, behaviour }: GitlabContext) {
  const base = baseUrl();
  return {
    issuer: base,
    authorization_endpoint: `${base}/oauth/authorize`,
    token_endpoint: `${base}/oauth/token`,
    revocation_endpoint: `${base}/oauth/revoke`,
    introspection_endpoint: `${base}/oauth/introspect`,
    userinfo_endpoint: `${base}/oauth/userinfo`,
    jwks_uri: `${base}/oauth/discovery/keys`,
    ...(behaviour.hasDeviceFlow ? { device_authorization_endpoint: `${base}/oauth/authorize_device` } : {}),
    scopes_supported: oauthScopes,
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    grant_types_supported: [
      'authorization_code',
      'password',
      'client_credentials',
      ...(behaviour.hasDeviceFlow ? ['device_code'] : []),
      'refresh_token',
    ],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    claim_types_supported: ['normal'],
    code_challenge_methods_supported: ['plain', 'S256'],
  };
}
