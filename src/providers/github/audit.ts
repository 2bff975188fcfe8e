import * as v from 'valibot';
import { ForbiddenError } from '../../errors.ts';
import type { Route } from '../../http/host-client.ts';
import { followLinkPages } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import type { AuditSupport, Connection, InspectedWebhook } from '../audit-support.ts';
import { joinParts, toMoment, toSafeAddress, type ConnectionPart } from '../connection-parts.ts';
import { narrow } from '../narrow.ts';
import type { HostAccess } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { openApi } from './ask.ts';
import { isEnterpriseServer } from './hosts.ts';
import { hook, installation } from './schemas.ts';

/** @see https://docs.github.com/en/rest/repos/webhooks */
export const audit: AuditSupport = { inspectWebhooks, listConnections };

/** `active`, `unused` or an outcome in words, with the receiver's status; a new hook has neither. */
const lastResponse = v.nullish(
  v.object({ code: v.nullish(v.number()), status: v.nullish(v.string()), message: v.nullish(v.string()) }),
);
/** A fine-grained token that was let into an organization. */
const grant = v.object({
  owner: v.nullish(v.object({ login: v.string() })),
  token_name: v.nullish(v.string()),
  permissions: v.nullish(v.record(v.string(), v.nullish(v.record(v.string(), v.string()))), {}),
  token_expired: v.nullish(v.boolean(), false),
  token_expires_at: v.nullish(v.string()),
  token_last_used_at: v.nullish(v.string()),
});

/** A credential that somebody opened for an organization with single sign-on. */
const authorization = v.object({
  login: v.string(),
  credential_type: v.string(),
  scopes: v.nullish(v.array(v.string()), []),
  authorized_credential_title: v.nullish(v.string()),
  authorized_credential_note: v.nullish(v.string()),
  authorized_credential_expires_at: v.nullish(v.string()),
  credential_accessed_at: v.nullish(v.string()),
});

const installationPage = v.object({
  installations: v.array(v.object({ ...installation.entries, app_slug: v.nullish(v.string()) })),
});

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

/**
 * What others have connected to an organization. Fine-grained tokens are shown to Apps alone, and single sign-on exists
 * at GitHub Enterprise Cloud alone.
 *
 * @see https://docs.github.com/en/rest/orgs
 */
async function* listConnections(
  access: HostAccess,
  organization: string,
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, void, undefined> {
  const { host } = access;
  const settings = `${host}/organizations/${organization}/settings`;
  const parts: readonly ConnectionPart[] = [
    ['App installations', listInstallations(access, organization)],
    ['fine-grained tokens', listGrants(access, organization, `${settings}/personal-access-tokens/active`)],
    ['webhooks of the organization', listHooks(access, organization, `${settings}/hooks`)],
    ...(isEnterpriseServer(access)
      ? []
      : [
          [
            'single sign-on',
            listAuthorizations(access, organization, `${host}/orgs/${organization}/people`),
          ] as const,
        ]),
  ];
  if (yield* joinParts(parts, onHidden)) return;
  throw new ForbiddenError(`The credential may see nothing that others connected to ${organization}.`, {
    hint: 'It takes an owner of the organization and admin:org and admin:org_hook, or an App that may administer it.',
  });
}

async function* listInstallations(
  access: HostAccess,
  organization: string,
): AsyncGenerator<Connection | null> {
  for await (const body of readPages(access, route`/orgs/${organization}/installations`)) {
    if (body === null) {
      yield null;
      return;
    }
    for (const found of narrow(installationPage, body, 'the installations').installations) {
      const reach = found.repository_selection === 'all' ? ['all repositories'] : ['selected repositories'];
      yield {
        kind: 'app-installation',
        name: found.app_slug ?? `installation ${found.id}`,
        owner: organization,
        powers: [...toPowers(found.permissions), ...reach],
        expiresAt: null,
        lastUsedAt: null,
        isActive: found.suspended_at == null,
        pageUrl: found.html_url,
      };
    }
  }
}

async function* listGrants(
  access: HostAccess,
  organization: string,
  pageUrl: string,
): AsyncGenerator<Connection | null> {
  for await (const body of readPages(access, route`/orgs/${organization}/personal-access-tokens`)) {
    if (body === null) {
      yield null;
      return;
    }
    for (const found of narrow(v.array(grant), body, 'the tokens')) {
      const permissions = Object.values(found.permissions ?? {});
      yield {
        kind: 'personal-token',
        name: found.token_name ?? 'a fine-grained token',
        owner: found.owner?.login ?? null,
        powers: permissions.flatMap(toPowers),
        expiresAt: toMoment(found.token_expires_at) ?? 'never',
        lastUsedAt: toMoment(found.token_last_used_at) ?? 'never',
        isActive: !found.token_expired,
        pageUrl,
      };
    }
  }
}

async function* listHooks(
  access: HostAccess,
  organization: string,
  pageUrl: string,
): AsyncGenerator<Connection | null> {
  for await (const body of readPages(access, route`/orgs/${organization}/hooks`)) {
    if (body === null) {
      yield null;
      return;
    }
    for (const { active, config, events } of narrow(v.array(hook), body, 'the webhooks')) {
      yield {
        kind: 'webhook',
        name: toSafeAddress(config.url ?? ''),
        owner: organization,
        powers: events,
        expiresAt: null,
        lastUsedAt: null,
        isActive: active ?? false,
        pageUrl,
      };
    }
  }
}

async function* listAuthorizations(
  access: HostAccess,
  organization: string,
  pageUrl: string,
): AsyncGenerator<Connection | null> {
  for await (const body of readPages(access, route`/orgs/${organization}/credential-authorizations`)) {
    if (body === null) {
      yield null;
      return;
    }
    for (const found of narrow(v.array(authorization), body, 'the authorisations')) {
      const title = found.authorized_credential_title ?? found.authorized_credential_note;
      yield {
        kind: 'sso-authorisation',
        name: title ? `${found.credential_type} ${title}` : found.credential_type,
        owner: found.login,
        powers: found.scopes ?? [],
        expiresAt: toMoment(found.authorized_credential_expires_at),
        lastUsedAt: toMoment(found.credential_accessed_at),
        isActive: true,
        pageUrl,
      };
    }
  }
}

function toPowers(permissions: Readonly<Record<string, string>> | null | undefined): string[] {
  return Object.entries(permissions ?? {})
    .map(([name, level]) => `${name}:${level}`)
    .sort();
}

/** @returns the bodies, or null and nothing more where the credential may not see the list. */
async function* readPages(access: HostAccess, place: Route): AsyncGenerator<unknown, void, undefined> {
  const request = { method: 'GET', route: place, query: { per_page: 100 }, accept: [403, 404] } as const;
  for await (const { status, body } of followLinkPages(openApi(access), request)) {
    yield status === 200 ? body : null;
  }
}
