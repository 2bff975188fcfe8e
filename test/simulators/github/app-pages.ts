import type { PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { atLeast, isOwner, roleOf } from './access.ts';
import { appPageOf } from './app-json.ts';
import { findApp, findInstallation, idsOf, install, pageOf, uninstall } from './app-state.ts';
import type { GithubApp, Installation } from './app-state.ts';
import type { GithubContext } from './call.ts';
import { answerAbsentPage, answerPage, escape, type BrowserPerson } from './pages.ts';
import { fullNameOf, requireUser } from './state.ts';
import type { GithubAccount, GithubUser } from './state.ts';

/** Pages on which people install apps and change installations (`providers/github.md` §2.2). */
export function listAppPageRoutes(context: () => GithubContext, person: BrowserPerson): Route[] {
  const visitor = () => requireUser(context().state, person.signedInAs);
  const withApp =
    (handle: (app: GithubApp, request: SimulatorRequest, user: GithubUser) => PlainAnswer): Route['handle'] =>
    (request) => {
      const app = findApp(context().state, request.params['slug'] ?? '');
      const user = visitor();
      const isOpen = app && (app.isPublic || belongsTo(user, app.owner));
      return app && isOpen ? handle(app, request, user) : answerAbsentPage();
    };
  const root = context().flavour === 'enterprise-server' ? '/github-apps/{slug}' : '/apps/{slug}';
  const choose = withApp((app, request, user) => showChoice(context(), app, request, user));
  const settings = ['/settings/installations/{id}', '/organizations/{org}/settings/installations/{id}'];
  const page = (method: string, template: string, handle: Route['handle']): Route => ({
    method,
    template,
    undescribed: true,
    handle,
  });
  return [
    page(
      'GET',
      root,
      withApp((app) =>
        answerPage(
          200,
          escape(app.name),
          `<a href="${appPageOf(context(), app)}/installations/new">Install</a>`,
        ),
      ),
    ),
    page('GET', `${root}/installations/new`, choose),
    page('GET', `${root}/installations/new/permissions`, choose),
    page(
      'POST',
      `${root}/installations`,
      withApp((app, request, user) => installByPage(context(), app, request, user)),
    ),
    ...settings.flatMap((template) => [
      page('GET', template, (request) => showSettings(context(), visitor(), request)),
      page('POST', template, (request) => changeSettings(context(), visitor(), request)),
    ]),
  ];
}

function belongsTo(user: GithubUser, account: GithubAccount): boolean {
  return account.kind === 'user' ? account === user : account.members.has(user.id);
}

/** Where a person may put an app: a private one on the account of its owner only. */
function listTargets({ state }: GithubContext, app: GithubApp, user: GithubUser): readonly GithubAccount[] {
  const accounts = [...state.accounts.values()].filter((account) => belongsTo(user, account));
  return app.isPublic ? accounts : accounts.filter((account) => account === app.owner);
}

function showChoice(
  context: GithubContext,
  app: GithubApp,
  { query }: SimulatorRequest,
  user: GithubUser,
): PlainAnswer {
  const suggested = query.get('suggested_target_id') ?? query.get('target_id');
  const targets = listTargets(context, app, user).filter(
    ({ id }) => suggested === null || String(id) === suggested,
  );
  const ordered = [...targets].sort(
    (left, right) => Number(right === app.owner) - Number(left === app.owner),
  );
  const forms = ordered.map((account) => toForm(context, app, account, user, query));
  if (forms.length === 0) return answerAbsentPage();
  return answerPage(200, `Install ${escape(app.name)}`, forms.join('\n'));
}

function toForm(
  context: GithubContext,
  app: GithubApp,
  account: GithubAccount,
  user: GithubUser,
  query: URLSearchParams,
): string {
  const existing = findInstallation(context.state, app, account);
  const login = escape(account.login);
  if (existing) return `<p>${login} <a href="${pageOf(context.webUrl(), existing)}">Configure</a></p>`;
  const parameters = new URLSearchParams({ target_id: String(account.id) });
  const state = query.get('state');
  if (state !== null) parameters.set('state', state);
  const repositories = context.state.listRepositories().filter(({ owner }) => owner === account);
  const boxes = repositories
    .slice(0, 100)
    .map(
      ({ id, name }) =>
        `<label><input type="checkbox" name="repository_ids[]" value="${id}">${escape(name)}</label>`,
    );
  return `<h2>${login}</h2>
<form method="post" action="${appPageOf(context, app)}/installations?${parameters.toString()}">
<label><input type="radio" name="install_target" value="all" checked> All repositories</label>
<label><input type="radio" name="install_target" value="selected"> Only select repositories</label>
${boxes.join('\n')}
<button name="decision" value="approve">${isOwner(user, account) ? 'Install' : 'Request'}</button>
</form>`;
}

function installByPage(
  context: GithubContext,
  app: GithubApp,
  request: SimulatorRequest,
  user: GithubUser,
): PlainAnswer {
  const { state, now } = context;
  const { query } = request;
  const account = listTargets(context, app, user).find(({ id }) => String(id) === query.get('target_id'));
  if (!account) return answerAbsentPage();
  const existing = findInstallation(state, app, account);
  if (existing) return { status: 302, headers: { location: pageOf(context.webUrl(), existing) } };
  if (!isOwner(user, account)) {
    const id = state.nextId('request');
    state.installationRequests.set(id, { id, app, account, requester: user, createdAt: new Date(now()) });
    const place = { setup_action: 'request' };
    return (
      leave(app, query, place) ??
      answerPage(200, 'Request sent', `<p>An owner of ${escape(account.login)} has been asked.</p>`)
    );
  }
  const chosen = readChosen(context, account, request);
  if (chosen instanceof Error) return answerPage(422, 'Select at least one repository', '');
  const installation = install(state, app, { account: account.login, ...chosen }, now());
  const place = { installation_id: String(installation.id), setup_action: 'install' };
  return (
    leave(app, query, place) ?? { status: 302, headers: { location: pageOf(context.webUrl(), installation) } }
  );
}

/** Back to the app's own page, where it has one. */
function leave(
  app: GithubApp,
  query: URLSearchParams,
  parameters: Readonly<Record<string, string>>,
): PlainAnswer | null {
  if (app.setupUrl === null) return null;
  const target = new URL(app.setupUrl);
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
  const state = query.get('state');
  if (state !== null) target.searchParams.set('state', state);
  return { status: 302, headers: { location: target.href } };
}

function readChosen({ state }: GithubContext, account: GithubAccount, { body }: SimulatorRequest) {
  const fields = (body ?? {}) as Readonly<Record<string, string>>;
  if (fields['install_target'] !== 'selected') return {};
  const ids = new Set((fields['repository_ids[]'] ?? '').split(',').map(Number));
  const chosen = state.listRepositories().filter(({ id, owner }) => owner === account && ids.has(id));
  return chosen.length === 0 ? new Error('nothing was chosen') : { repositories: chosen.map(fullNameOf) };
}

/** What an owner of the account sees, or in an organization who administers a repository of it. */
function findManaged(
  { state }: GithubContext,
  user: GithubUser,
  { params }: SimulatorRequest,
): Installation | undefined {
  const installation = state.installations.get(Number(params['id']));
  const isRight = installation && (params['org'] === undefined) === (installation.account.kind === 'user');
  if (!isRight) return undefined;
  const isManager =
    isOwner(user, installation.account) ||
    state
      .listRepositories()
      .some(
        (repository) =>
          repository.owner === installation.account && atLeast(roleOf(user, repository), 'admin'),
      );
  return isManager ? installation : undefined;
}

function showSettings(context: GithubContext, user: GithubUser, request: SimulatorRequest): PlainAnswer {
  const installation = findManaged(context, user, request);
  if (!installation) return answerAbsentPage();
  const action = escape(pageOf(context.webUrl(), installation));
  const repositories = context.state.listRepositories().filter(({ owner }) => owner === installation.account);
  const { selection, repositoryIds } = installation;
  const check = (isOn: boolean) => (isOn ? ' checked' : '');
  const boxes = repositories
    .slice(0, 100)
    .map(
      ({ id, name }) =>
        `<label><input type="checkbox" name="repository_ids[]" value="${id}"${check(repositoryIds.has(id))}>${escape(name)}</label>`,
    );
  const forms = `<form method="post" action="${action}">
<label><input type="radio" name="install_target" value="all"${check(selection === 'all')}> All repositories</label>
<label><input type="radio" name="install_target" value="selected"${check(selection === 'selected')}> Only select repositories</label>
${boxes.join('\n')}
<button name="action" value="save">Save</button>
</form>
<form method="post" action="${action}">
<button name="action" value="${installation.suspendedAt ? 'unsuspend' : 'suspend'}">${installation.suspendedAt ? 'Unsuspend' : 'Suspend'}</button>
<button name="action" value="uninstall">Uninstall</button>
</form>`;
  return answerPage(200, `${escape(installation.app.name)} on ${escape(installation.account.login)}`, forms);
}

function changeSettings(context: GithubContext, user: GithubUser, request: SimulatorRequest): PlainAnswer {
  const { state, now } = context;
  const installation = findManaged(context, user, request);
  if (!installation || !isOwner(user, installation.account)) return answerAbsentPage();
  const { action } = (request.body ?? {}) as { readonly action?: unknown };
  if (action === 'uninstall') {
    uninstall(state, installation);
    return answerPage(200, 'Uninstalled', '');
  }
  if (action === 'suspend' || action === 'unsuspend') {
    suspendBy(installation, action === 'suspend' ? user : null, now());
  } else if (action === 'save') {
    const chosen = readChosen(context, installation.account, request);
    if (chosen instanceof Error) return answerPage(422, 'Select at least one repository', '');
    changeRepositories(context, installation, chosen.repositories ?? 'all');
    const { app } = installation;
    const place = { installation_id: String(installation.id), setup_action: 'update' };
    const left = app.setupOnUpdate ? leave(app, request.query, place) : null;
    if (left) return left;
  }
  return showSettings(context, user, request);
}

/** Does what an owner does on that page; null lifts it. */
export function suspendBy(installation: Installation, user: GithubUser | null, now: number): void {
  installation.suspendedAt = user ? new Date(now) : null;
  installation.suspendedBy = user;
  installation.updatedAt = new Date(now);
}

/** Does what an owner does on that page: names with or without the account, or `all`. */
export function changeRepositories(
  { state, now }: Pick<GithubContext, 'state' | 'now'>,
  installation: Installation,
  repositories: readonly string[] | 'all',
): void {
  installation.selection = repositories === 'all' ? 'all' : 'selected';
  installation.repositoryIds =
    repositories === 'all' ? new Set() : idsOf(state, installation.account, repositories);
  installation.updatedAt = new Date(now());
}
