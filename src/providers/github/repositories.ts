import type { HostClient, HostRequest, HostResponse, Route } from '../../http/host-client.ts';
import { fetchCountedPages, followLinkPages, type CountedPage } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import { narrow } from '../narrow.ts';
import { installationKind, type HostAccess, type Namespace, type Repository } from '../provider.ts';
import { openApi } from './ask.ts';
import { fineGrainedKind, isAppUser } from './kinds.ts';
import { pacing } from './pacing.ts';
import * as schemas from './schemas.ts';
import { listUserInstallations } from './tokens.ts';
import * as v from 'valibot';

/** The most that GitHub gives; more is cut to it without a word. */
const pageSize = 100;

/**
 * The accounts whose repositories a credential may reach. A fine-grained token is shown no organization by the list
 * that others ask, and an App's only where it is installed.
 */
export async function* listNamespaces(access: HostAccess): AsyncIterable<Namespace> {
  const { account, credential } = access;
  const api = openApi(access);
  if (credential.kind === installationKind) {
    yield* await findInstalledOn(access, api);
    return;
  }
  if (isAppUser(credential.token)) {
    for await (const { account: installed, suspended_at: suspendedAt } of listUserInstallations(api)) {
      if (!installed?.login || suspendedAt) continue;
      yield toNamespace({ login: installed.login, type: installed.type });
    }
    return;
  }
  if (account.login !== null) yield { path: account.login, kind: 'user' };
  const organizations = credential.kind === fineGrainedKind ? listMemberships(api) : listOrganizations(api);
  for await (const path of organizations) yield { path, kind: 'organization' };
}

/** Repositories tell whether the account is a person or an organization; without any it is not known. */
async function findInstalledOn({ account }: HostAccess, api: HostClient): Promise<readonly Namespace[]> {
  const { body } = await api.request({
    method: 'GET',
    route: route`/installation/repositories`,
    query: { per_page: 1 },
  });
  const [first] = narrow(schemas.repositoryPage, body, 'the installation').repositories;
  if (first) return [toNamespace(first.owner)];
  return account.login === null ? [] : [{ path: account.login, kind: 'organization' }];
}

function toNamespace({ login, type }: { login: string; type?: string | null | undefined }): Namespace {
  return { path: login, kind: type === 'Organization' ? 'organization' : 'user' };
}

async function* listOrganizations(api: HostClient): AsyncIterable<string> {
  for await (const { body } of listPages(api, route`/user/orgs`)) {
    for (const { login } of narrow(v.array(schemas.organization), body, 'the organizations')) yield login;
  }
}

async function* listMemberships(api: HostClient): AsyncIterable<string> {
  for await (const { body } of listPages(api, route`/user/memberships/orgs`, { state: 'active' })) {
    const found = narrow(v.array(schemas.membership), body, 'the memberships');
    for (const { organization } of found) yield organization.login;
  }
}

function listPages(
  api: HostClient,
  where: Route,
  query: HostRequest['query'] = {},
): AsyncIterable<HostResponse> {
  return followLinkPages(api, { method: 'GET', route: where, query: { ...query, per_page: pageSize } });
}

/**
 * What the credential reaches. One namespace is a filter over it: the list of an organization also has what is public
 * there for everybody.
 */
export async function* listRepositories(
  access: HostAccess,
  namespace: string | null,
): AsyncIterable<Repository> {
  const wanted = namespace?.toLowerCase();
  const isWanted = (owner: string): boolean => wanted === undefined || owner.toLowerCase() === wanted;
  const { credential } = access;
  const api = openApi(access);
  if (credential.kind === installationKind) {
    for await (const found of listCounted(api, route`/installation/repositories`)) {
      if (isWanted(found.owner.login)) yield toRepository(found, true);
    }
    return;
  }
  if (!isAppUser(credential.token)) {
    const query = { affiliation: 'owner,collaborator,organization_member', sort: 'full_name' };
    for await (const found of listCounted(api, route`/user/repos`, query)) {
      if (isWanted(found.owner.login)) yield toRepository(found);
    }
    return;
  }
  for await (const { id, account, suspended_at: suspendedAt } of listUserInstallations(api)) {
    if (suspendedAt || !isWanted(account?.login ?? '')) continue;
    for await (const found of listCounted(api, route`/user/installations/${id}/repositories`)) {
      yield toRepository(found);
    }
  }
}

/** Follows a renamed repository to where it is now; it keeps its id. */
export async function findRepository(access: HostAccess, fullName: string): Promise<Repository | null> {
  const [owner, name, ...rest] = fullName.split('/');
  if (!owner || !name || rest.length > 0) return null;
  const { status, body } = await openApi(access).request({
    method: 'GET',
    route: route`/repos/${owner}/${name}`,
    accept: [404],
  });
  if (status === 404) return null;
  const found = narrow(schemas.repository, body, 'the repository');
  const { credential, account } = access;
  // Everybody sees what is public; an installation reaches its own account's alone.
  const isInstalled =
    credential.kind === installationKind && found.owner.login.toLowerCase() === account.login?.toLowerCase();
  return toRepository(found, isInstalled);
}

/**
 * @param isApp - Whether an App asks: it acts by its permissions, and has no role in the repository.
 */
function toRepository(found: schemas.Repository, isApp = false): Repository {
  return {
    id: String(found.id),
    fullName: found.full_name,
    namespace: found.owner.login,
    cloneUrl: found.clone_url || `${found.html_url}.git`,
    webUrl: found.html_url,
    defaultBranch: found.default_branch || null,
    private: found.private,
    archived: found.archived ?? false,
    canManageWebhooks: isApp || found.permissions?.admin === true,
  };
}

/** Lists repositories several pages at a time: the first answer tells how many there are. */
async function* listCounted(
  api: HostClient,
  where: Route,
  query: HostRequest['query'] = {},
): AsyncIterable<schemas.Repository> {
  async function fetchPage(page: number): Promise<CountedPage<schemas.Repository>> {
    const answer = await api.request({
      method: 'GET',
      route: where,
      query: { ...query, per_page: pageSize, page },
    });
    if (!Array.isArray(answer.body)) {
      const { repositories, total_count: totalCount } = narrow(
        schemas.repositoryPage,
        answer.body,
        'the repositories',
      );
      return { items: repositories, totalCount };
    }
    const items = narrow(v.array(schemas.repository), answer.body, 'the repositories');
    return { items, totalCount: findMost(answer.headers) };
  }
  yield* fetchCountedPages(fetchPage, pageSize, pacing.concurrency);
}

/** The most that a list can hold whose last page the `Link` header names; null for one without. */
function findMost(headers: Headers): number | null {
  const last = /[?&]page=(\d{1,5})(?:&[^<>]*)?>;\s*rel="last"/.exec(headers.get('link') ?? '')?.[1];
  return last === undefined ? null : Number(last) * pageSize;
}
