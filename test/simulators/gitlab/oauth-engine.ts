import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { createMemoryAdapter } from '../../support/oauth-storage.ts';
import type { GitlabApplication } from './applications.ts';
import type { GitlabContext } from './call.ts';
import type { OAuthGrants } from './oauth-grants.ts';
import { askServer, type ServerWord } from './oauth-ask.ts';
import { deviceGrant } from './oauth-clients.ts';
import { oauthScopes } from './scopes.ts';

/** How long what is given out from now on lives, in seconds. */
export interface OAuthLives {
  accessTokenS: number;
  deviceCodeS: number;
}

/** oidc-provider, a certified server, with the habits of Doorkeeper where they differ. */
export interface OAuthEngine extends Omit<OAuthGrants, 'describe'> {
  readonly provider: Provider;
  /** Answers a browser. */
  serve(request: IncomingMessage, response: ServerResponse): void;
  /** Asks beside the network for whoever sent `incoming`; with a form it is a POST. */
  ask(incoming: IncomingMessage, url: string, sent?: SentAside): Promise<ServerWord>;
  /** What a token was issued for, alive or not. */
  findIssued(secret: string): IssuedToken | undefined;
  /** Every access and refresh token so far, alive or not, oldest first. */
  listIssued(kind?: IssuedToken['kind']): readonly string[];
  isAlive(secret: string): Promise<boolean>;
  /** Remembers that a person allows an application something. */
  createGrant(username: string, clientId: string, scope: string | undefined): Promise<string>;
  /** Ends the sign-ins that match. */
  endGrants(matches: (token: IssuedToken) => boolean): Promise<void>;
  /** Lets all access tokens end now; refresh tokens stay good. */
  expireAccessTokens(): Promise<void>;
}

interface SentAside {
  readonly form?: Readonly<Record<string, string>>;
  /** Default: what was sent. */
  readonly cookie?: string;
}

export interface IssuedToken {
  readonly kind: 'AccessToken' | 'RefreshToken';
  readonly username: string;
  readonly clientId: string;
  readonly grantId: string;
  readonly scopes: readonly string[];
  readonly createdAtS: number;
  /** Milliseconds since the epoch. Refresh tokens have no end. */
  expiresAt: number;
}

/** Refresh tokens end when they are used or revoked, never by the clock. */
const foreverS = 10 * 365 * 86_400;
let signingKey: object | undefined;

/**
 * Builds the engine. It must know its own address, so not before the server listens; and it loads the package
 * then, as most tests never sign in.
 */
export async function createOAuthEngine(context: GitlabContext, lives: OAuthLives): Promise<OAuthEngine> {
  const { default: OidcProvider } = await import('oidc-provider');
  const { state, baseUrl } = context;
  const basePath = new URL(baseUrl()).pathname.replace(/\/$/, '');
  const issued = new Map<string, IssuedToken>();
  const Memory = createMemoryAdapter('refuse');
  type Payload = Parameters<InstanceType<typeof Memory>['upsert']>[1];

  class Storage extends Memory {
    override upsert(id: string, payload: Payload, expiresInS: number): Promise<void> {
      if (this.model === 'AccessToken' || this.model === 'RefreshToken') {
        issued.set(id, {
          kind: this.model,
          username: String(payload['accountId']),
          clientId: String(payload['clientId']),
          grantId: payload.grantId ?? '',
          scopes: typeof payload['scope'] === 'string' ? payload['scope'].split(' ') : [],
          createdAtS: Number(payload['iat']),
          expiresAt: this.model === 'AccessToken' ? Date.now() + expiresInS * 1000 : Infinity,
        });
      }
      // A device that asks too late is told so, and not that there never was such a code.
      return super.upsert(id, payload, this.model === 'DeviceCode' ? expiresInS + 3600 : expiresInS);
    }
  }
  const stored = { AccessToken: new Storage('AccessToken'), RefreshToken: new Storage('RefreshToken') };
  const clients = {
    ...new Storage('Client'),
    find: (id: string) => {
      const application = state.applications.get(id);
      return Promise.resolve(application && toClientMetadata(application));
    },
  };

  const provider = new OidcProvider(baseUrl(), {
    adapter: (model: string) => (model === 'Client' ? clients : new Storage(model)),
    scopes: [...oauthScopes],
    routes: {
      authorization: `${basePath}/oauth/authorize`,
      token: `${basePath}/oauth/token`,
      revocation: `${basePath}/oauth/revoke`,
      device_authorization: `${basePath}/oauth/authorize_device`,
      code_verification: `${basePath}/oauth/device`,
      jwks: `${basePath}/oauth/discovery/keys`,
    },
    // Confidential applications may go without.
    pkce: {
      required: (_: unknown, client: { readonly tokenEndpointAuthMethod: string }) => isPublic(client),
    },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true, mask: '********' },
      revocation: { enabled: true, allowedPolicy: () => true },
      pushedAuthorizationRequests: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    // Every sign-in is asked for anew and stands for itself.
    loadExistingGrant: (ctx: InteractionContext) => {
      const grantId = ctx.oidc.result?.consent?.grantId;
      return grantId === undefined ? undefined : ctx.oidc.provider.Grant.find(grantId);
    },
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    rotateRefreshToken: true,
    ttl: {
      AccessToken: () => lives.accessTokenS,
      AuthorizationCode: 600,
      DeviceCode: () => lives.deviceCodeS,
      RefreshToken: foreverS,
      Grant: foreverS,
      Session: 3_600,
      Interaction: 3_600,
      IdToken: 120,
    },
    clockTolerance: 0,
    cookies: { keys: ['the cookies of a test'] },
    jwks: { keys: [getSigningKey()] },
    interactions: {
      url: (_: unknown, { uid }: { readonly uid: string }) => `${basePath}/oauth/interaction/${uid}`,
    },
    renderError: (ctx: { type: string; body: string }, { error }: { readonly error: string }) => {
      ctx.type = 'html';
      ctx.body = `<!doctype html><title>GitLab</title><h1>An error has occurred</h1><p>${error}</p>`;
    },
  });
  for (const model of ['AccessToken', 'RefreshToken', 'AuthorizationCode']) shapeTokens(provider, model);
  // Redirects are compared before the provider is asked, by Doorkeeper's rules.
  Object.assign(prototypeOf(provider, 'Client'), { redirectUriAllowed: () => true });
  const serve = provider.callback();
  let problem: Error | undefined;
  provider.on('server_error', (_, error) => {
    problem = error;
  });

  const endGrants = async (matches: (token: IssuedToken) => boolean): Promise<void> => {
    for (const { grantId } of [...issued.values()].filter(matches)) {
      await stored.AccessToken.revokeByGrantId(grantId);
      await stored.RefreshToken.revokeByGrantId(grantId);
    }
  };

  return {
    provider,
    serve,
    ask: async (incoming, url, { form, cookie = incoming.headers.cookie } = {}) => {
      const word = await askServer(serve, {
        method: form ? 'POST' : 'GET',
        url: basePath + url,
        headers: { ...incoming.headers, cookie },
        isEncrypted: 'encrypted' in incoming.socket,
        ...(form ? { form } : {}),
      });
      if (word.status >= 500) throw new Error('oidc-provider failed.', { cause: problem });
      return word;
    },
    findIssued: (secret) => issued.get(secret),
    listIssued: (kind) =>
      [...issued].filter(([, token]) => kind === undefined || token.kind === kind).map(([secret]) => secret),
    isAlive: async (secret) => {
      const token = issued.get(secret);
      return token !== undefined && (await stored[token.kind].find(secret)) !== undefined;
    },
    findAccess: async (secret) => {
      const token = issued.get(secret);
      if (token?.kind !== 'AccessToken') return 'unknown';
      if (token.expiresAt <= Date.now()) return 'expired';
      if ((await stored.AccessToken.find(secret)) === undefined) return 'revoked';
      const user = state.findUser(token.username);
      return user ? { user, scopes: token.scopes } : 'unknown';
    },
    createGrant: (accountId, clientId, scope) => {
      const grant = new provider.Grant({ accountId, clientId });
      if (scope) grant.addOIDCScope(scope);
      return grant.save();
    },
    endGrants,
    endAllOf: (applicationId) => endGrants(({ clientId }) => clientId === applicationId),
    expireAccessTokens: async () => {
      for (const [secret, token] of issued) {
        if (token.kind !== 'AccessToken' || token.expiresAt <= Date.now()) continue;
        if ((await stored.AccessToken.find(secret)) === undefined) continue;
        token.expiresAt = 0;
        await stored.AccessToken.destroy(secret);
      }
    },
  };
}

interface InteractionContext {
  readonly oidc: {
    readonly result?: { readonly consent?: { readonly grantId?: string } };
    readonly provider: { readonly Grant: { find(id: string): Promise<unknown> } };
  };
}

function isPublic(client: { readonly tokenEndpointAuthMethod: string }): boolean {
  return client.tokenEndpointAuthMethod === 'none';
}

function toClientMetadata(application: GitlabApplication) {
  return {
    client_id: application.applicationId,
    ...(application.confidential ? { client_secret: application.secret } : {}),
    token_endpoint_auth_method: application.confidential ? 'client_secret_post' : 'none',
    application_type: 'native',
    // Not compared with this one.
    redirect_uris: ['http://127.0.0.1/callback'],
    grant_types: ['authorization_code', 'refresh_token', deviceGrant],
    response_types: ['code'],
    scope: application.scopes.join(' '),
  };
}

/** 64 lowercase hex digits without a prefix, as Doorkeeper makes them. */
function shapeTokens(provider: Provider, model: string): void {
  const prototype = prototypeOf(provider, model) as { generateTokenId: (this: object) => string };
  const generate = prototype.generateTokenId;
  prototype.generateTokenId = function generateHex() {
    // It also notes the format of the token.
    generate.call(this);
    return randomBytes(32).toString('hex');
  };
}

function prototypeOf(provider: Provider, model: string): object {
  return (Reflect.get(provider, model) as { readonly prototype: object }).prototype;
}

function getSigningKey(): object {
  signingKey ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  return signingKey;
}
