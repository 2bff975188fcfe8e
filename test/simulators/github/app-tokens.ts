import type { PlainAnswer, Route } from '../routes.ts';
import { includes } from './access.ts';
import { listReached, type Installation, type Permissions } from './app-state.ts';
import { isRecord, readBody, refuse, refuseInvalid, refuseResource, requireToken } from './call.ts';
import type { Api, Call } from './call.ts';
import { answerPage } from './paging.ts';
import { toRepositoryJson } from './repository-json.ts';
import type { GithubRepository } from './state.ts';
import { makeStatelessSecret, storeToken, type GithubToken } from './token-state.ts';
import { filterVisible } from './access.ts';

const tokenLifeMs = 3_600_000;
const mostRepositories = 500;

/** What an installation's token itself may ask (`providers/github.md` §2.2, §4.2). */
export function listInstallationTokenRoutes(api: Api): Route[] {
  const page = 'apps/installations#list-repositories-accessible-to-the-app-installation';
  const revoke = 'apps/installations#revoke-an-installation-access-token';
  return [
    {
      method: 'GET',
      template: '/installation/repositories',
      handle: api({ who: 'installation', permissions: { metadata: 'read' }, page }, listRepositories),
    },
    {
      method: 'DELETE',
      template: '/installation/token',
      handle: api({ who: 'installation', page: revoke }, (call) => {
        requireToken(call).revoked = true;
        return { status: 204 };
      }),
    },
  ];
}

function listRepositories(call: Call): PlainAnswer {
  const token = requireToken(call);
  const { installation, repositories } = token;
  if (!installation) throw refuseResource(call);
  const reached = listReached(call.state, installation);
  const { visible } = filterVisible(
    call,
    reached.filter(({ id }) => typeof repositories === 'string' || repositories.has(id)),
  );
  const repository_selection = typeof repositories === 'string' ? installation.selection : 'selected';
  return answerPage(call, visible, {
    toJson: (repository) => toRepositoryJson(call, repository, call.actor),
    wrap: (items, total) => ({ total_count: total, repository_selection, repositories: items }),
  });
}

/** `POST /app/installations/{id}/access_tokens`. @throws Refusal 403, 422. */
export function mintToken(call: Call, installation: Installation): PlainAnswer {
  if (installation.suspendedAt) {
    throw refuse(403, 'This installation has been suspended', { page: call.need.page });
  }
  const body = readBody(call);
  const chosen = chooseRepositories(call, listReached(call.state, installation), body);
  const permissions = choosePermissions(call, installation.permissions, body['permissions']);
  const wish = call.request.headers['x-github-stateless-s2s-token'];
  const isStateless =
    call.flavour !== 'enterprise-server' &&
    (wish === 'enabled' || (wish !== 'disabled' && call.settings.statelessTokens));
  const token = storeToken(call.state, call.now(), {
    kind: 'installation',
    name: `${installation.app.slug} on ${installation.account.login}`,
    installation,
    permissions,
    repositories: chosen ? new Set(chosen.map(({ id }) => id)) : 'all',
    expiresAt: new Date(Math.floor((call.now() + tokenLifeMs) / 1000) * 1000),
    ...(isStateless ? { secret: makeStatelessSecret(installation.app.id) } : {}),
  });
  return { status: 201, json: toTokenJson(call, token, installation, chosen) };
}

function toTokenJson(
  call: Call,
  token: GithubToken,
  installation: Installation,
  chosen: readonly GithubRepository[] | null,
) {
  return {
    token: token.secret,
    expires_at: token.expiresAt?.toISOString().replace(/\.\d+Z$/, 'Z'),
    permissions: token.permissions,
    repository_selection: chosen ? 'selected' : installation.selection,
    ...(chosen
      ? { repositories: chosen.map((repository) => toRepositoryJson(call, repository, call.actor)) }
      : {}),
  };
}

/** By names without the owner, or by ids; null for all that there are. */
export function chooseRepositories(
  call: Call,
  reached: readonly GithubRepository[],
  { repositories, repository_ids: ids }: Readonly<Record<string, unknown>>,
): readonly GithubRepository[] | null {
  if (repositories === undefined && ids === undefined) return null;
  if (repositories !== undefined && ids !== undefined) {
    throw refuseInvalid(call, [], 'You may only specify either repositories or repository_ids.');
  }
  const wanted: readonly unknown[] = Array.isArray(repositories)
    ? repositories
    : Array.isArray(ids)
      ? ids
      : [];
  if (wanted.length > mostRepositories) {
    throw refuseInvalid(call, [], `Too many repositories: no more than ${mostRepositories} can be named.`);
  }
  const keyOf = (repository: GithubRepository): unknown =>
    repositories === undefined ? repository.id : repository.name.toLowerCase();
  const byKey = new Map(reached.map((repository) => [keyOf(repository), repository]));
  return wanted.map((name) => {
    const repository = byKey.get(typeof name === 'string' ? name.toLowerCase() : name);
    if (repository) return repository;
    throw refuseInvalid(
      call,
      [],
      'There is at least one repository that does not exist or is not accessible to the parent installation.',
    );
  });
}

/** A part of what was granted; all of it where nothing is asked for. Reading metadata is always in it. */
export function choosePermissions(call: Call, granted: Permissions, wanted: unknown): Permissions {
  if (wanted === undefined) return granted;
  if (!isRecord(wanted))
    throw refuseInvalid(call, [], "Invalid request.\n\nFor 'properties/permissions', it is not an object.");
  const isGranted = Object.entries(wanted).every(
    ([name, level]) => typeof level === 'string' && includes(granted, name, level),
  );
  if (!isGranted) {
    throw refuseInvalid(call, [], 'The permissions requested are not granted to this installation.');
  }
  return { metadata: 'read', ...(wanted as Permissions) };
}
