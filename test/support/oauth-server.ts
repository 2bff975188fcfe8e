import { generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { createMemoryAdapter } from './oauth-storage.ts';

/** Where the endpoints lie; each product has its own. */
export interface OAuthRoutes {
  readonly authorization: string;
  readonly token: string;
  readonly revocation: string;
  readonly device: string;
  /** Where people enter the code of a device. */
  readonly verification: string;
}

export interface OAuthServerOptions {
  readonly routes?: Partial<OAuthRoutes>;
  readonly clientId?: string;
  /** With it the client is confidential. */
  readonly clientSecret?: string;
  /** Default 7200. */
  readonly accessTokenLifeS?: number;
  /** What the server does with a refresh token that was used: only refuse it, or end the whole grant. */
  readonly reuse?: 'refuse' | 'revokeGrant';
  /** Whether the person is asked. Default `ask`: a page with two buttons. */
  readonly consent?: 'ask' | 'approve' | 'deny';
  readonly scopes?: readonly string[];
}

/** A request that the token endpoint was sent, without its secrets. */
export interface TokenRequest {
  readonly grantType: string;
  /** Null where it gave tokens. */
  readonly error: string | null;
}

export interface OAuthServer {
  readonly origin: string;
  readonly port: number;
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string;
  readonly deviceEndpoint: string;
  readonly clientId: string;
  readonly clientSecret: string | null;
  /** Every request of the token endpoint, in order. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Paths of all requests, without their queries. */
  readonly paths: readonly string[];
  /** How many requests of a grant type gave tokens. */
  countExchanges(grantType: 'authorization_code' | 'refresh_token' | 'device_code'): number;
  /** Whether a token is good. */
  isAlive(token: string): Promise<boolean>;
  /** Does what a person does on the verification page. */
  decideDevice(userCode: string, decision: 'approve' | 'deny'): Promise<void>;
  /** Answers the next request of the token endpoint in another way, after having done what it asks. */
  spoilNextTokenAnswer(answer: (response: ServerResponse) => void): void;
  close(): Promise<void>;
}

const defaultRoutes: OAuthRoutes = {
  authorization: '/oauth/authorize',
  token: '/oauth/token',
  revocation: '/oauth/revoke',
  device: '/oauth/authorize_device',
  verification: '/oauth/device',
};

const account = 'alice';
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
/** Marks a request that this server sends to itself. */
const asideHeader = 'x-aside';
let signingKey: object | undefined;

/**
 * Starts a certified authorization server on the loopback address: PKCE required, redirects compared exactly but
 * for the port of loopback addresses, codes and refresh tokens good for one use, and a refresh ends the old
 * access token, as at the strictest of the hosts.
 */
export async function startOAuthServer(options: OAuthServerOptions = {}): Promise<OAuthServer> {
  const routes = { ...defaultRoutes, ...options.routes };
  const clientId = options.clientId ?? 'gitlink-test-client';
  const clientSecret = options.clientSecret ?? null;
  const scopes = options.scopes ?? ['api', 'read_user', 'read_repository'];
  const tokenRequests: TokenRequest[] = [];
  const paths: string[] = [];
  const spoils: ((response: ServerResponse) => void)[] = [];

  const server = createServer((request, response) => {
    // A page that is over, such as one that the back button shows again.
    handle(request, response).catch(() => response.writeHead(400).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const provider = new Provider(origin, {
    adapter: createMemoryAdapter(options.reuse ?? 'refuse'),
    clients: [
      {
        client_id: clientId,
        ...(clientSecret === null ? {} : { client_secret: clientSecret }),
        application_type: 'native',
        token_endpoint_auth_method: clientSecret === null ? 'none' : 'client_secret_basic',
        redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
        grant_types: ['authorization_code', 'refresh_token', deviceGrant],
        response_types: ['code'],
      },
    ],
    scopes: [...scopes],
    routes: {
      authorization: routes.authorization,
      token: routes.token,
      revocation: routes.revocation,
      device_authorization: routes.device,
      code_verification: routes.verification,
    },
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      pushedAuthorizationRequests: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    ttl: {
      AccessToken: options.accessTokenLifeS ?? 7200,
      AuthorizationCode: 600,
      DeviceCode: 300,
      RefreshToken: 86_400,
      Grant: 86_400,
      Session: 3_600,
      Interaction: 3_600,
      IdToken: 3_600,
    },
    clockTolerance: 0,
    cookies: { keys: ['the cookies of a test'] },
    jwks: { keys: [getSigningKey()] },
    interactions: { url: (_: unknown, { uid }: { readonly uid: string }) => `/interaction/${uid}` },
    renderError: (context: { type: string; body: string }, { error }: { readonly error: string }) => {
      context.type = 'html';
      context.body = `<title>Error</title><p>${error}</p>`;
    },
  });
  const answer = provider.callback();
  provider.on('grant.success', ({ oidc }) => record(oidc.params, null));
  provider.on('grant.error', ({ oidc }, error) => record(oidc.params, error.message));

  function record(params: Readonly<Record<string, string>> | undefined, error: string | null): void {
    tokenRequests.push({ grantType: params?.['grant_type'] ?? '', error });
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?')[0] ?? '';
    paths.push(path);
    if (path.startsWith('/interaction/')) return decide(request, response);
    if (path !== routes.token) return answer(request, response);
    const spoil = request.headers[asideHeader] === undefined ? spoils.shift() : undefined;
    if (spoil) return answerAside(request, response, spoil);
    answer(request, response);
  }

  /** The request takes its course beside, and the client has another answer. */
  async function answerAside(
    request: IncomingMessage,
    response: ServerResponse,
    spoil: (response: ServerResponse) => void,
  ): Promise<void> {
    const { authorization } = request.headers;
    const aside = await globalThis.fetch(origin + routes.token, {
      method: 'POST',
      headers: { [asideHeader]: '1', ...(authorization === undefined ? {} : { authorization }) },
      body: new URLSearchParams(await readText(request)),
    });
    await aside.text();
    spoil(response);
  }

  async function decide(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { params } = await provider.interactionDetails(request, response);
    const consent = options.consent ?? 'ask';
    if (consent === 'ask' && request.method !== 'POST') {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
      response.end(renderConsent(request.url ?? '', params['client_id'] ?? ''));
      return;
    }
    const decision =
      consent === 'ask' ? new URLSearchParams(await readText(request)).get('decision') : consent;
    if (decision !== 'approve') {
      const error_description = 'The resource owner denied the request.';
      return provider.interactionFinished(request, response, { error: 'access_denied', error_description });
    }
    await provider.interactionFinished(request, response, {
      login: { accountId: account },
      consent: { grantId: await createGrant(params['scope']) },
    });
  }

  async function createGrant(scope: string | undefined): Promise<string> {
    const grant = new provider.Grant({ accountId: account, clientId });
    if (scope) grant.addOIDCScope(scope);
    return grant.save();
  }

  return {
    origin,
    port,
    issuer: origin,
    authorizationEndpoint: origin + routes.authorization,
    tokenEndpoint: origin + routes.token,
    revocationEndpoint: origin + routes.revocation,
    deviceEndpoint: origin + routes.device,
    clientId,
    clientSecret,
    tokenRequests,
    paths,
    countExchanges: (grantType) =>
      tokenRequests.filter((request) => request.error === null && request.grantType.endsWith(grantType))
        .length,
    async isAlive(token) {
      const found = (await provider.AccessToken.find(token)) ?? (await provider.RefreshToken.find(token));
      return found !== undefined && !found.isExpired;
    },
    async decideDevice(userCode, decision) {
      const code = await provider.DeviceCode.findByUserCode(userCode.replaceAll('-', ''));
      if (!code) throw new Error('There is no such device code.');
      if (decision === 'approve') {
        code.accountId = account;
        code.grantId = await createGrant(code.params['scope']);
        Object.assign(code, { scope: code.params['scope'] });
      } else {
        code.error = 'access_denied';
      }
      await code.save();
    },
    spoilNextTokenAnswer: (spoil) => void spoils.push(spoil),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function getSigningKey(): object {
  signingKey ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  return signingKey;
}

function renderConsent(action: string, clientName: string): string {
  return `<!doctype html><title>Authorize</title><h1>Authorize ${clientName}?</h1>
<form method="post" action="${action}">
<button name="decision" value="approve">Authorize</button>
<button name="decision" value="deny">Deny</button>
</form>`;
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
