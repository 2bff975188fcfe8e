import * as v from 'valibot';
import { followLinkPages } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import type { AuditSupport, InspectedWebhook } from '../audit-support.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess, WebhookPlace } from '../provider.ts';
import { openApi } from './ask.ts';
import { hook } from './schemas.ts';

/** @see https://docs.github.com/en/rest/repos/webhooks */
export const audit: AuditSupport = { inspectWebhooks };

/** `active`, `unused` or an outcome in words, with the receiver's status; a new hook has neither. */
const lastResponse = v.nullish(
  v.object({ code: v.nullish(v.number()), status: v.nullish(v.string()), message: v.nullish(v.string()) }),
);
const inspected = v.object({ ...hook.entries, last_response: lastResponse });

async function inspectWebhooks(
  access: HostAccess,
  place: WebhookPlace,
): Promise<readonly InspectedWebhook[]> {
  const [owner = '', name = ''] = place.level === 'repository' ? place.repository.fullName.split('/') : [];
  const pages = followLinkPages(openApi(access), {
    method: 'GET',
    route:
      place.level === 'namespace'
        ? route`/orgs/${place.namespace}/hooks`
        : route`/repos/${owner}/${name}/hooks`,
    query: { per_page: 100 },
  });
  const found: InspectedWebhook[] = [];
  for await (const { body } of pages) {
    found.push(...narrow(v.array(inspected), body, 'the webhooks').map(toInspected));
  }
  return found;
}

function toInspected({
  id,
  active,
  events,
  config,
  last_response: last,
}: v.InferOutput<typeof inspected>): InspectedWebhook {
  const code = last?.code ?? null;
  const isFailing = code !== null && (code < 200 || code > 299);
  return {
    id: String(id),
    url: config.url ?? '',
    events,
    active: active ?? false,
    name: null,
    settings: {},
    checksCertificate: String(config.insecure_ssl ?? '0') === '0',
    hasSecret: Boolean(config.secret),
    failure: isFailing ? describeFailure(code) : null,
  };
}

function describeFailure(code: number): string {
  return code === 0 ? 'the receiver was not reached last' : `the receiver answered ${code} last`;
}
