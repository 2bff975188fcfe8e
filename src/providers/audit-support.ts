import type { HostAccess } from './provider.ts';
import type { Webhook, WebhookPlace } from './webhook-support.ts';

/** A webhook with what only an audit asks for. Null where the host does not tell. */
export interface InspectedWebhook extends Webhook {
  /** Whether the host checks the receiver's certificate. */
  readonly checksCertificate: boolean | null;
  readonly hasSecret: boolean | null;
  /** What went wrong with the newest deliveries, as a part of a sentence; null for nothing. */
  readonly failure: string | null;
}

/** What somebody has connected to an organization. */
export type ConnectionKind =
  | 'app-installation'
  | 'personal-token'
  | 'sso-authorisation'
  | 'service-account-token'
  | 'group-token'
  | 'project-token'
  | 'deploy-token'
  | 'webhook';

/** One of these; times in milliseconds since the epoch. */
export interface Connection {
  readonly kind: ConnectionKind;
  /** What people call it; never a secret. */
  readonly name: string;
  /** The account, group or project that it belongs to; null where the host does not tell. */
  readonly owner: string | null;
  /** What it may do, or is told of, in the host's words. */
  readonly powers: readonly string[];
  /** `never` where the host says so; null where it does not tell. */
  readonly expiresAt: number | 'never' | null;
  /** `never` where the host says so; null where it does not tell. */
  readonly lastUsedAt: number | 'never' | null;
  readonly isActive: boolean;
  /** What else is wrong with it, as a part of a sentence. */
  readonly trouble?: string | null;
  /** Where a person changes or ends it. */
  readonly pageUrl: string;
}

/**
 * What an adapter knows beside a link's own affairs. What a host cannot do is absent. Every method that reaches the
 * host throws the errors of `HostClient`.
 */
export interface AuditSupport {
  /**
   * The webhooks of a place. Absent where `WebhookAdmin.list` tells all that there is.
   *
   * @param ownIds - Those whose deliveries are to be looked at, which may take a request for each.
   */
  inspectWebhooks?(
    access: HostAccess,
    place: WebhookPlace,
    ownIds: ReadonlySet<string>,
  ): Promise<readonly InspectedWebhook[]>;

  /**
   * What others have connected to an organization, as far as the credential may see it. A part that it may not see
   * is left out, and told by `onHidden`.
   *
   * @param onHidden - Gets what is left out, to complete "… cannot be seen".
   * @throws NotFoundError when there is no such organization, ForbiddenError when nothing of it may be seen.
   */
  listConnections?(
    access: HostAccess,
    organization: string,
    onHidden: (what: string) => void,
  ): AsyncIterable<Connection>;
}
