import type { PlainAnswer, Route } from '../routes.ts';
import { requireRepository as findVisible } from './access.ts';
import { toAppJson, toInstallationJson, toRequestJson } from './app-json.ts';
import { findInstallation, installationsOf, reaches, uninstall, type Installation } from './app-state.ts';
import { refuse, refuseNotFound, requireApp } from './call.ts';
import type { Api, Call, Need } from './call.ts';
import { mintToken } from './app-tokens.ts';
import { answerPage } from './paging.ts';

function app(page: string): Need {
  return { who: 'app', page: `apps/apps#${page}` };
}

/** What an app does in its own name, with its key (`providers/github.md` §2.2). */
export function listAppRoutes(api: Api): Route[] {
  const one = '/app/installations/{installation_id}';
  return [
    {
      method: 'GET',
      template: '/app',
      handle: api(app('get-the-authenticated-app'), (call) => ({
        status: 200,
        json: toAppJson(call, requireApp(call)),
      })),
    },
    { method: 'GET', template: '/app/installations', handle: api(app('list-installations'), list) },
    {
      method: 'GET',
      template: '/app/installation-requests',
      handle: api(app('list-installation-requests'), listRequests),
    },
    { method: 'GET', template: one, handle: api(app('get-an-installation'), readOne) },
    { method: 'DELETE', template: one, handle: api(app('delete-an-installation'), remove) },
    {
      method: 'PUT',
      template: `${one}/suspended`,
      handle: api(app('suspend-an-app-installation'), (call) => setSuspended(call, true)),
    },
    {
      method: 'DELETE',
      template: `${one}/suspended`,
      handle: api(app('unsuspend-an-app-installation'), (call) => setSuspended(call, false)),
    },
    {
      method: 'POST',
      template: `${one}/access_tokens`,
      handle: api(app('create-an-installation-access-token-for-an-app'), (call) =>
        mintToken(call, requireInstallation(call)),
      ),
    },
    {
      method: 'GET',
      template: '/orgs/{org}/installation',
      handle: api(app('get-an-organization-installation'), (call) => readOfAccount(call, 'org')),
    },
    {
      method: 'GET',
      template: '/users/{username}/installation',
      handle: api(app('get-a-user-installation'), (call) => readOfAccount(call, 'username')),
    },
    {
      method: 'GET',
      template: '/repos/{owner}/{repo}/installation',
      handle: api(app('get-a-repository-installation'), readOfRepository),
    },
  ];
}

/** The installation that a path names, of the app that asks. @throws Refusal 404. */
export function requireInstallation(call: Call): Installation {
  const installation = call.state.installations.get(Number(call.request.params['installation_id']));
  if (installation?.app !== requireApp(call)) throw refuseNotFound(call);
  return installation;
}

/** Suspended ones are in it too. */
function list(call: Call): PlainAnswer {
  const { query } = call.request;
  const since = query.get('since');
  if (since !== null && Number.isNaN(Date.parse(since)))
    throw refuse(422, 'Invalid since.', { page: call.need.page });
  const found = installationsOf(call.state, requireApp(call)).filter(
    ({ updatedAt }) => since === null || updatedAt.getTime() >= Date.parse(since),
  );
  return answerPage(call, found, { toJson: (installation) => toInstallationJson(call, installation) });
}

function listRequests(call: Call): PlainAnswer {
  const own = requireApp(call);
  const found = [...call.state.installationRequests.values()].filter((request) => request.app === own);
  return answerPage(call, found, { toJson: (request) => toRequestJson(call, request) });
}

function readOne(call: Call): PlainAnswer {
  return { status: 200, json: toInstallationJson(call, requireInstallation(call)) };
}

function remove(call: Call): PlainAnswer {
  uninstall(call.state, requireInstallation(call));
  const isNew = call.request.headers['x-github-api-version'] === '2026-03-10';
  return isNew ? { status: 202, json: {} } : { status: 204 };
}

function setSuspended(call: Call, isSuspended: boolean): PlainAnswer {
  const installation = requireInstallation(call);
  // What a person did an app cannot undo.
  if (!isSuspended && installation.suspendedBy) {
    throw refuse(403, 'This installation was suspended by its owner.', { page: call.need.page });
  }
  if (!installation.suspendedBy) installation.suspendedAt = isSuspended ? new Date(call.now()) : null;
  installation.updatedAt = new Date(call.now());
  return { status: 204 };
}

function readOfAccount(call: Call, parameter: 'org' | 'username'): PlainAnswer {
  const account = call.state.findAccount(call.request.params[parameter] ?? '');
  const isWrong = parameter === 'org' && account?.kind !== 'organization';
  const installation = account && !isWrong && findInstallation(call.state, requireApp(call), account);
  if (!installation) throw refuseNotFound(call);
  return { status: 200, json: toInstallationJson(call, installation) };
}

function readOfRepository(call: Call): PlainAnswer {
  const { owner = '', repo = '' } = call.request.params;
  const repository = call.state.findRepository(`${owner}/${repo}`) ?? findVisible(call);
  const installation = findInstallation(call.state, requireApp(call), repository.owner);
  if (!installation || !reaches(installation, repository)) throw refuseNotFound(call);
  return { status: 200, json: toInstallationJson(call, installation) };
}
