import { changeRepositories, suspendBy } from './app-pages.ts';
import { addApp, install, installationsOf, uninstall } from './app-state.ts';
import type { CreatedApp, GithubApp, Installation, NewApp, NewInstallation } from './app-state.ts';
import type { GithubContext } from './call.ts';
import { createHook, hooksAt, type GithubHook } from './hook-state.ts';
import { requireOrganization, requireRepository, requireUser } from './state.ts';
import { addToken, type GithubToken, type NewToken } from './token-state.ts';

/** What tests do to a simulator behind the back of gitlink, as people do in their browsers. */
export interface GithubControls {
  /** Makes a token; its `secret` is what a person would paste. */
  addToken(this: void, token?: NewToken): GithubToken;
  /** Registers an app without the manifest flow. */
  addApp(this: void, app?: NewApp): CreatedApp;
  /** Puts an app on an account, as its owner does on the install page. */
  install(this: void, app: GithubApp, installation: NewInstallation): Installation;
  /** All of an app, or of all apps. */
  installationsOf(this: void, app?: GithubApp): readonly Installation[];
  /** Grants the wish of a member. @throws Error where there is none. */
  approveRequest(this: void, app: GithubApp, account: string): Installation;
  /** Suspends as the account's owner, or lifts it. */
  setSuspended(this: void, installation: Installation, by: string | null): void;
  /** Names with or without the account, or `all`. */
  changeRepositories(this: void, installation: Installation, repositories: readonly string[] | 'all'): void;
  uninstall(this: void, installation: Installation): void;
  /** Agrees to what the app asks for by now. */
  acceptPermissions(this: void, installation: Installation): void;
  /** Gives an app the webhook that a manifest would have given it. */
  addAppHook(
    this: void,
    app: GithubApp,
    hook: { readonly url: string; readonly secret: string | null },
  ): GithubHook;
  /** Tells hooks of a push that somebody made elsewhere. */
  announcePush(this: void, repository: string, user: string): void;
  /** The hooks of a repository by full name, or of an organization by login. */
  hooksOf(this: void, place: string): readonly GithubHook[];
  /** The secret of a hook; null for none. @throws Error for a hook that is not there. */
  hookSecret(this: void, place: string, id: number): string | null;
}

export function createControls(context: GithubContext): GithubControls {
  const { state, now } = context;
  const hooksOf = (place: string) =>
    place.includes('/')
      ? hooksAt(state, { level: 'repository', repository: requireRepository(state, place) })
      : hooksAt(state, { level: 'organization', organization: requireOrganization(state, place) });
  return {
    addToken: (token = {}) => addToken(state, token, now()),
    addApp: (app = {}) => addApp(state, app, now()),
    install: (app, installation) => install(state, app, installation, now()),
    installationsOf: (app) => (app ? installationsOf(state, app) : [...state.installations.values()]),
    approveRequest: (app, account) => {
      const request = [...state.installationRequests.values()].find(
        (candidate) => candidate.app === app && candidate.account.login === account,
      );
      if (!request) throw new Error(`Nobody asked for ${app.slug} on ${account}.`);
      return install(state, app, { account }, now());
    },
    setSuspended: (installation, by) =>
      suspendBy(installation, by === null ? null : requireUser(state, by), now()),
    changeRepositories: (installation, repositories) =>
      changeRepositories(context, installation, repositories),
    uninstall: (installation) => uninstall(state, installation),
    acceptPermissions: (installation) => {
      installation.permissions = installation.app.permissions;
      installation.events = installation.app.events;
      installation.updatedAt = new Date(now());
    },
    addAppHook: (app, hook) =>
      (app.hook = createHook(state, now(), {
        place: { level: 'app', app },
        contentType: 'json',
        events: app.events,
        ...hook,
      })),
    announcePush: (fullName, login) => {
      const repository = requireRepository(state, fullName);
      const { deliveries } = context;
      deliveries.announce(repository, deliveries.describePush(repository, requireUser(state, login)));
    },
    hooksOf,
    hookSecret: (place, id) => {
      const hook = hooksOf(place).find((candidate) => candidate.id === id);
      if (!hook) throw new Error(`No simulated hook ${id} at ${place}.`);
      return hook.secret;
    },
  };
}
