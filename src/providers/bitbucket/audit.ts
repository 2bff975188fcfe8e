import { ForbiddenError, NotFoundError } from '../../errors.ts';
import { isAnswer } from '../../http/host-answer-error.ts';
import { route } from '../../http/route.ts';
import type { AuditSupport, Connection, InspectedWebhook } from '../audit-support.ts';
import { joinParts, toSafeAddress } from '../connection-parts.ts';
import type { HostAccess } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import * as endpoints from './endpoints.ts';
import { listRepositories } from './repositories.ts';
import { isHidden } from './refusals.ts';
import { toHooksRoute, toWebhook, webhooks } from './webhooks.ts';

/**
 * Webhooks of a workspace and its repositories. Access tokens, OAuth consumers and what people signed in to are on
 * pages alone: no API of Bitbucket lists them, and Atlassian's own for API tokens takes an organization's key.
 * Deliveries are on pages, too.
 *
 * @see https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/
 */
export const audit: AuditSupport = { inspectWebhooks, listConnections };

async function inspectWebhooks(
  { http }: HostAccess,
  place: WebhookPlace,
): Promise<readonly InspectedWebhook[]> {
  const found = await endpoints.listHooks(http, toHooksRoute(place));
  return found.map((hook) => {
    const { skip_cert_verification: skipsCheck, secret_set: hasSecret } = hook;
    return {
      ...toWebhook(hook),
      checksCertificate: typeof skipsCheck === 'boolean' ? !skipsCheck : null,
      hasSecret: hasSecret ?? null,
      failure: null,
    };
  });
}

async function* listConnections(
  access: HostAccess,
  workspace: string,
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, void, undefined> {
  const { http, host } = access;
  const { status } = await http.request({
    method: 'GET',
    route: route`/workspaces/${workspace}`,
    accept: [403, 404],
  });
  if (status === 404) throw new NotFoundError(`The credential sees no workspace ${workspace} at ${host}.`);
  const parts = [
    ['webhooks of the workspace', listHooks(access, { level: 'namespace', namespace: workspace })],
    ['webhooks of repositories that it does not administer', listRepositoryHooks(access, workspace)],
  ] as const;
  const isAnySeen = yield* joinParts(parts, onHidden);
  if (!isAnySeen) {
    throw new ForbiddenError(`The credential may see nothing that others connected to ${workspace}.`, {
      hint: 'It takes an administrator of the workspace and webhook (read:webhook:bitbucket) among its scopes.',
    });
  }
  onHidden('access tokens and OAuth consumers, which Bitbucket shows on pages of the workspace alone');
}

async function* listRepositoryHooks(
  access: HostAccess,
  workspace: string,
): AsyncGenerator<Connection | null, void, undefined> {
  for await (const repository of listRepositories(access, workspace)) {
    if (repository.canManageWebhooks) yield* listHooks(access, { level: 'repository', repository });
    else yield null;
  }
}

/** @returns null where the credential may not see them. */
async function* listHooks(
  access: HostAccess,
  place: WebhookPlace,
): AsyncGenerator<Connection | null, void, undefined> {
  const owner = place.level === 'repository' ? place.repository.fullName : place.namespace;
  const hooks = await findHooks(access, place);
  if (hooks === null) yield null;
  for (const { url, name, active, events } of hooks ?? []) {
    yield {
      kind: 'webhook',
      name: [name ?? '', toSafeAddress(url)].join(' ').trim(),
      owner,
      powers: events,
      expiresAt: null,
      lastUsedAt: null,
      isActive: active,
      pageUrl: webhooks.pageUrl(access.host, place.level, owner),
    };
  }
}

async function findHooks(access: HostAccess, place: WebhookPlace) {
  try {
    return await webhooks.list(access, place);
  } catch (error) {
    // Also a missing scope.
    if (isHidden(error) || isAnswer(error, 403)) return null;
    throw error;
  }
}
