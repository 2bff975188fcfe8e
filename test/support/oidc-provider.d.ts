/** The part of oidc-provider 9 that the OAuth server of the tests uses; the package brings no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface Grant {
    addOIDCScope(scope: string): void;
    save(): Promise<string>;
  }

  interface DeviceCode {
    readonly clientId: string;
    readonly scope?: string;
    readonly params: Readonly<Record<string, string>>;
    accountId?: string;
    grantId?: string;
    error?: string;
    save(): Promise<string>;
  }

  interface Stored {
    readonly isExpired: boolean;
  }

  interface Interaction {
    readonly params: Readonly<Record<string, string>>;
  }

  export interface RequestContext {
    readonly oidc: { readonly params?: Readonly<Record<string, string>>; readonly route: string };
  }

  export default class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly Grant: new (of: { readonly accountId: string; readonly clientId: string }) => Grant;
    readonly AccessToken: { find(value: string): Promise<Stored | undefined> };
    readonly RefreshToken: { find(value: string): Promise<Stored | undefined> };
    readonly DeviceCode: {
      findByUserCode(
        code: string,
        options?: { readonly ignoreExpiration: boolean },
      ): Promise<DeviceCode | undefined>;
    };
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Readonly<Record<string, unknown>>,
    ): Promise<void>;
    on(event: 'grant.success', listener: (context: RequestContext) => void): void;
    on(
      event: 'grant.error' | 'server_error',
      listener: (context: RequestContext, error: Error) => void,
    ): void;
  }
}
