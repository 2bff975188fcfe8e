import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type Provider from 'oidc-provider';
import { createMemoryAdapter } from '../../support/oauth-storage.ts';
import { askServer, type ServerWord } from '../gitlab/oauth-ask.ts';
import type { AzureDevopsContext } from './call.ts';
import type { EntraApplication } from './entra-applications.ts';
import { requireUser } from './state.ts';
import { makeJwt, registerEntraToken, resourceId, type EntraGrant } from './token-state.ts';

export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
/** `offline_access` as the engine has it: its own rules for that word differ. */
export const offlineScope = 'offline';

/** How long what is given out from now on lives, in seconds. */
export interface EntraLives {
  accessTokenS: number;
  refreshTokenS: number;
  deviceCodeS: number;
}

/** A code or refresh token that was given out. */
export interface IssuedGrant {
  readonly kind: 'AuthorizationCode' | 'RefreshToken';
  readonly login: string;
  readonly clientId: string;
  readonly expiresAt: number;
  isUsed: boolean;
}

/** oidc-provider, a certified server, with the habits of Entra where they differ. */
export interface EntraEngine {
  readonly provider: Provider;
  /** Asks beside the network for whoever sent `incoming`; with a form it is a POST. */
  ask(incoming: IncomingMessage, url: string, form?: Readonly<Record<string, string>>): Promise<ServerWord>;
  findIssued(secret: string): IssuedGrant | undefined;
  listRefreshTokens(): readonly string[];
  createGrant(login: string, clientId: string, scope: string): Promise<string>;
  endRefreshTokens(matches: (grant: IssuedGrant) => boolean): Promise<void>;
}

let signingKey: object | undefined;

/**
 * Builds the engine. It must know its own address, so not before the server listens; and it loads the package
 * then, as most tests never sign in.
 */
export async function createEntraEngine(
  context: AzureDevopsContext,
  applications: ReadonlyMap<string, EntraApplication>,
  lives: EntraLives,
  scopes: readonly string[],
): Promise<EntraEngine> {
  const { default: OidcProvider } = await import('oidc-provider');
  const { state, loginUrl, now } = context;
  const prefix = pathOfLogin(context);
  const issued = new Map<string, IssuedGrant>();
  const Memory = createMemoryAdapter('revokeGrant');
  type Payload = Parameters<InstanceType<typeof Memory>['upsert']>[1];

  class Storage extends Memory {
    override upsert(id: string, payload: Payload, expiresInS: number): Promise<void> {
      const { model } = this;
      if (model === 'AccessToken') {
        // The services know it; a later one leaves it as it is.
        const scope = typeof payload['scope'] === 'string' ? payload['scope'] : '';
        const login = String(payload['accountId']);
        registerEntraToken(state, id, toGrant(login, String(payload['clientId']), scope));
        return Promise.resolve();
      }
      if (model === 'RefreshToken' || model === 'AuthorizationCode') {
        issued.set(id, {
          kind: model,
          login: String(payload['accountId']),
          clientId: String(payload['clientId']),
          expiresAt: now() + expiresInS * 1000,
          isUsed: false,
        });
      }
      return super.upsert(id, payload, expiresInS);
    }

    override consume(id: string): Promise<void> {
      const grant = issued.get(id);
      if (grant) grant.isUsed = true;
      // A refresh token stays good when it was used: only its successor is told.
      return this.model === 'RefreshToken' ? Promise.resolve() : super.consume(id);
    }
  }
  const refreshTokens = new Storage('RefreshToken');
  const clients = {
    ...new Storage('Client'),
    find: (id: string) => {
      const application = applications.get(id);
      return Promise.resolve(application && toClientMetadata(application, scopes));
    },
  };

  const toGrant = (login: string, clientId: string, scope: string): EntraGrant => {
    const user = requireUser(state, login);
    const asked = scope.split(' ').filter((name) => name.startsWith(`${resourceId}/`));
    const names = asked.map((name) => name.slice(resourceId.length + 1));
    const isDefault = names.includes('.default');
    const granted = isDefault ? (applications.get(clientId)?.permissions ?? []) : names;
    const expiresAt = now() + lives.accessTokenS * 1000;
    return { user, tenant: user.tenant, scopes: granted, clientId, createdAt: now(), expiresAt };
  };

  const provider = new OidcProvider(loginUrl(), {
    adapter: (model: string) => (model === 'Client' ? clients : new Storage(model)),
    scopes: [...scopes],
    routes: {
      authorization: `${prefix}/oauth2/v2.0/authorize`,
      token: `${prefix}/oauth2/v2.0/token`,
      device_authorization: `${prefix}/oauth2/v2.0/devicecode`,
      code_verification: `${prefix}/oauth2/deviceauth`,
      jwks: `${prefix}/discovery/v2.0/keys`,
    },
    pkce: { required: () => false },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true, mask: '*********' },
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
    issueRefreshToken: (_: unknown, __: unknown, source: { readonly scopes: ReadonlySet<string> }) =>
      source.scopes.has(offlineScope),
    expiresWithSession: () => false,
    rotateRefreshToken: true,
    ttl: {
      AccessToken: () => lives.accessTokenS,
      AuthorizationCode: 600,
      DeviceCode: () => lives.deviceCodeS,
      RefreshToken: () => lives.refreshTokenS,
      Grant: 365 * 86_400,
      Session: 3_600,
      Interaction: 3_600,
      IdToken: 3_600,
    },
    clockTolerance: 0,
    cookies: { keys: ['the cookies of a test'] },
    jwks: { keys: [getSigningKey()] },
    interactions: {
      url: (_: unknown, { uid }: { readonly uid: string }) => `${prefix}/interaction/${uid}`,
    },
    renderError: (ctx: { type: string; body: string }, { error }: { readonly error: string }) => {
      ctx.type = 'html';
      ctx.body = `<!doctype html><title>Sign in to your account</title><p>${error}</p>`;
    },
  });
  shape(provider, 'AccessToken', ({ accountId, clientId, scope }) =>
    makeJwt(state, toGrant(accountId, clientId, scope)),
  );
  // As long as Entra's are.
  shape(provider, 'RefreshToken', () => `1.canary${randomBytes(900).toString('base64url')}`);
  shape(provider, 'AuthorizationCode', () => `1.canary${randomBytes(600).toString('base64url')}`);
  // Redirects are compared before the provider is asked, by Entra's rules.
  Object.assign(prototypeOf(provider, 'Client'), { redirectUriAllowed: () => true });
  const serve = provider.callback();
  let problem: Error | undefined;
  provider.on('server_error', (_, error) => {
    problem = error;
  });

  return {
    provider,
    ask: async (incoming, url, form) => {
      const word = await askServer(serve, {
        method: form ? 'POST' : 'GET',
        url: prefix + url,
        headers: { ...incoming.headers, cookie: withoutSession(incoming.headers.cookie) },
        isEncrypted: new URL(loginUrl()).protocol === 'https:',
        ...(form ? { form } : {}),
      });
      if (word.status >= 500) throw new Error('oidc-provider failed.', { cause: problem });
      return word;
    },
    findIssued: (secret) => issued.get(secret),
    listRefreshTokens: () =>
      [...issued].filter(([, { kind }]) => kind === 'RefreshToken').map(([secret]) => secret),
    createGrant: (accountId, clientId, scope) => {
      const grant = new provider.Grant({ accountId, clientId });
      grant.addOIDCScope(scope);
      return grant.save();
    },
    endRefreshTokens: async (matches) => {
      for (const [secret, grant] of issued) {
        if (grant.kind !== 'RefreshToken' || !matches(grant)) continue;
        issued.delete(secret);
        await refreshTokens.destroy(secret);
      }
    },
  };
}

/** What stands before the addresses of Entra as a browser sees them: nothing where it has a host of its own. */
export function pathOfLogin({ loginUrl }: AzureDevopsContext): string {
  return new URL(loginUrl()).pathname.replace(/\/$/, '');
}

interface InteractionContext {
  readonly oidc: {
    readonly result?: { readonly consent?: { readonly grantId?: string } };
    readonly provider: { readonly Grant: { find(id: string): Promise<unknown> } };
  };
}

/** Nobody is remembered from an earlier sign-in: the person before the browser may be another one. */
function withoutSession(cookie = ''): string {
  return cookie.replaceAll(/_session(\.legacy)?(\.sig)?=[^;]*;?/g, '');
}

function toClientMetadata({ clientId, secret }: EntraApplication, scopes: readonly string[]) {
  return {
    client_id: clientId,
    ...(secret === null ? {} : { client_secret: secret }),
    token_endpoint_auth_method: secret === null ? 'none' : 'client_secret_post',
    application_type: 'native',
    // Not compared with this one.
    redirect_uris: ['http://localhost/callback'],
    grant_types: ['authorization_code', 'refresh_token', deviceGrant],
    response_types: ['code'],
    scope: scopes.join(' '),
  };
}

interface TokenModel {
  readonly accountId: string;
  readonly clientId: string;
  readonly scope: string;
}

/** Lets a kind of token look like Entra's. */
function shape(provider: Provider, model: string, make: (token: TokenModel) => string): void {
  const prototype = prototypeOf(provider, model) as { generateTokenId: (this: TokenModel) => string };
  const generate = prototype.generateTokenId;
  prototype.generateTokenId = function generateShaped() {
    // It also notes the format of the token.
    generate.call(this);
    return make(this);
  };
}

function prototypeOf(provider: Provider, model: string): object {
  return (Reflect.get(provider, model) as { readonly prototype: object }).prototype;
}

function getSigningKey(): object {
  signingKey ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  return signingKey;
}
