import type { PlainAnswer, Route } from '../routes.ts';
import { atLeast, filterVisible, isScoped, roleOf } from './access.ts';
import { toInstallationJson } from './app-json.ts';
import { installationsOf, listReached, reaches, type Installation } from './app-state.ts';
import {
  refuse,
  refuseInvalid,
  refuseNotFound,
  refuseResource,
  requirePerson,
  requireToken,
} from './call.ts';
import type { Api, Call } from './call.ts';
import { answerPage } from './paging.ts';
import { toRepositoryJson } from './repository-json.ts';
import { hasScope } from './token-state.ts';

/** Installations as the people see them who may (`providers/github.md` §4.1, §6). */
export function listUserInstallationRoutes(api: Api): Route[] {
  const page = 'apps/installations#list-app-installations-accessible-to-the-user-access-token';
  const ofOne = 'apps/installations#list-repositories-accessible-to-the-user-access-token';
  const one = '/user/installations/{installation_id}/repositories';
  const need = { who: 'user', permissions: { metadata: 'read' } } as const;
  const change = { who: 'user', scopes: ['repo'] } as const;
  return [
    { method: 'GET', template: '/user/installations', handle: api({ ...need, page }, list) },
    { method: 'GET', template: one, handle: api({ ...need, page: ofOne }, listRepositories) },
    {
      method: 'PUT',
      template: `${one}/{repository_id}`,
      handle: api({ ...change, page: 'apps/installations#add-a-repository-to-an-app-installation' }, (call) =>
        changeOne(call, true),
      ),
    },
    {
      method: 'DELETE',
      template: `${one}/{repository_id}`,
      handle: api(
        { ...change, page: 'apps/installations#remove-a-repository-from-an-app-installation' },
        (call) => changeOne(call, false),
      ),
    },
  ];
}

/** Only for tokens of a GitHub App, and only its own. */
function list(call: Call): PlainAnswer {
  const token = requireToken(call);
  const app = token.client?.app;
  if (token.kind === 'fineGrained') throw refuseResource(call);
  if (token.kind !== 'userAccess' || !app) {
    throw refuse(
      403,
      'You must authenticate with an access token authorized to a GitHub App in order to list installations',
      { page: call.need.page },
    );
  }
  const user = requirePerson(call);
  const found = installationsOf(call.state, app).filter(({ account }) =>
    account.kind === 'user'
      ? account === user
      : account.members.has(user.id) ||
        call.state
          .listRepositories()
          .some((repository) => repository.owner === account && roleOf(user, repository)),
  );
  return answerPage(call, found, {
    toJson: (installation) => toInstallationJson(call, installation),
    wrap: (installations, total) => ({ total_count: total, installations }),
  });
}

function requireInstallation(call: Call): Installation {
  const installation = call.state.installations.get(Number(call.request.params['installation_id']));
  if (!installation) throw refuseNotFound(call);
  return installation;
}

function listRepositories(call: Call): PlainAnswer {
  const token = requireToken(call);
  const user = requirePerson(call);
  if (token.kind === 'fineGrained') throw refuseResource(call);
  const installation = requireInstallation(call);
  if (token.kind === 'userAccess' && token.client?.app !== installation.app) throw refuseNotFound(call);
  const reached = listReached(call.state, installation).filter((repository) => roleOf(user, repository));
  const { visible, headers } = filterVisible(call, reached);
  return answerPage(call, visible, {
    toJson: (repository) => toRepositoryJson(call, repository, call.actor),
    wrap: (repositories, total) => ({
      total_count: total,
      repository_selection: installation.selection,
      repositories,
    }),
    headers,
  });
}

/** Classic tokens alone, with the widest scope, of somebody who administers the repository. */
function changeOne(call: Call, isWanted: boolean): PlainAnswer {
  const token = requireToken(call);
  const user = requirePerson(call);
  if (!isScoped(token) || token.kind === 'oauth') throw refuseResource(call);
  if (!hasScope(token.scopes, ['repo'])) throw refuseNotFound(call);
  const installation = requireInstallation(call);
  const repository = call.state.repositories.get(Number(call.request.params['repository_id']));
  if (repository?.owner !== installation.account || !atLeast(roleOf(user, repository), 'admin')) {
    throw refuseNotFound(call);
  }
  if (installation.selection === 'all') {
    if (isWanted) return { status: 204 };
    throw refuseInvalid(call, [], 'The installation is on all repositories.');
  }
  if (!isWanted && (!reaches(installation, repository) || installation.repositoryIds.size === 1)) {
    throw refuseInvalid(call, [], 'An installation has to keep one repository.');
  }
  const ids = new Set(installation.repositoryIds);
  if (isWanted) ids.add(repository.id);
  else ids.delete(repository.id);
  installation.repositoryIds = ids;
  installation.updatedAt = new Date(call.now());
  return { status: 204 };
}
