import type { GithubContext } from './call.ts';
import type { GithubHook, HookDelivery } from './hook-state.ts';

/** That there is a secret, never which. */
export function toConfigJson({ contentType, insecureSsl, url, secret }: GithubHook) {
  return {
    content_type: contentType,
    insecure_ssl: insecureSsl,
    ...(secret === null ? {} : { secret: '********' }),
    url,
  };
}

/** A hook as the API shows it; those of organizations have neither a test nor a last response. */
export function toHookJson({ apiUrl }: Pick<GithubContext, 'apiUrl'>, hook: GithubHook) {
  const { place, id } = hook;
  const isRepository = place.level === 'repository';
  const path = isRepository
    ? `/repos/${place.repository.owner.login}/${place.repository.name}`
    : `/orgs/${place.level === 'organization' ? place.organization.login : ''}`;
  const url = `${apiUrl()}${path}/hooks/${id}`;
  const [last] = hook.deliveries;
  const lastResponse = {
    code: last?.statusCode ?? null,
    status:
      last === undefined
        ? 'unused'
        : last.statusCode >= 200 && last.statusCode < 300
          ? 'active'
          : 'misconfigured',
    message: last?.status ?? null,
  };
  return {
    type: isRepository ? 'Repository' : 'Organization',
    id,
    name: 'web',
    active: hook.active,
    events: hook.events,
    config: toConfigJson(hook),
    updated_at: hook.updatedAt.toISOString(),
    created_at: hook.createdAt.toISOString(),
    url,
    ...(isRepository ? { test_url: `${url}/test` } : {}),
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    ...(isRepository ? { last_response: lastResponse } : {}),
  };
}

/** `hook-delivery-item`. */
export function toDeliveryJson(delivery: HookDelivery) {
  return {
    id: delivery.id,
    guid: delivery.guid,
    delivered_at: delivery.deliveredAt.toISOString(),
    redelivery: delivery.isRedelivery,
    duration: delivery.durationS,
    status: delivery.status,
    status_code: delivery.statusCode,
    event: delivery.event,
    action: null,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    throttled_at: null,
  };
}

/** `hook-delivery`, with what went to and fro. */
export function toWholeDeliveryJson(delivery: HookDelivery) {
  return {
    ...toDeliveryJson(delivery),
    url: delivery.url,
    request: { headers: delivery.requestHeaders, payload: delivery.payload },
    response: { headers: {}, payload: delivery.responseBody },
  };
}
