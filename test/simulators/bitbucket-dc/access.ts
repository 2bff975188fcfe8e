import { refuse, refuseNotFound, refusePermission, requireActor } from './call.ts';
import type { Actor, Call, DcContext } from './call.ts';
import { levels, type DcProject, type DcRepository, type DcUser, type Level } from './state.ts';

function highest(...candidates: readonly Level[]): Level {
  return candidates.reduce<Level>((best, level) => (level > best ? level : best), levels.none);
}

function lowest(left: Level, right: Level): Level {
  return left < right ? left : right;
}

/** What a person may do, whatever the credential says. */
export function levelOfUserInProject(user: DcUser, project: DcProject): Level {
  if (user.isSystemAdmin || project.owner === user) return levels.admin;
  return project.members.get(user.id) ?? levels.none;
}

function levelOfUserInRepository(user: DcUser, repository: DcRepository): Level {
  return highest(
    levelOfUserInProject(user, repository.project),
    repository.members.get(user.id) ?? levels.none,
  );
}

/** Tokens of a place are at home there, and nobody elsewhere. */
function levelOfActorInProject({ user, token }: Actor, project: DcProject): Level {
  if (!token || token.place.kind === 'user') return levelOfUserInProject(user, project);
  return token.place.kind === 'project' && token.place.project === project ? levels.admin : levels.none;
}

function levelOfActorInRepository({ user, token }: Actor, repository: DcRepository): Level {
  if (!token || token.place.kind === 'user') return levelOfUserInRepository(user, repository);
  const isHome =
    token.place.kind === 'project'
      ? token.place.project === repository.project
      : token.place.repository === repository;
  return isHome ? levels.admin : levels.none;
}

type Asker = Pick<DcContext, 'settings' | 'state'> & { readonly actor: Actor | null };

/** What the caller may do with a repository, the limits of the credential counted in. */
export function levelInRepository({ actor, settings }: Asker, repository: DcRepository): Level {
  const isPublic = repository.public || repository.project.public;
  const ofAll = isPublic && (actor || settings.publicAccess) ? levels.public : levels.none;
  if (!actor) return ofAll;
  const own = levelOfActorInRepository(actor, repository);
  return highest(ofAll, lowest(own, actor.limits.repository));
}

/**
 * The same for a project. One of whose repositories somebody sees may be seen itself, but not by a credential that
 * reads no projects.
 */
export function levelInProject(asker: Asker, project: DcProject): Level {
  const { actor, settings } = asker;
  const isOpen = project.public && (actor || settings.publicAccess);
  const own = actor ? lowest(levelOfActorInProject(actor, project), actor.limits.project) : levels.none;
  const level = highest(isOpen ? levels.public : levels.none, own);
  if (level > levels.none || (actor && actor.limits.project < levels.read)) return level;
  const seesOne = asker.state
    .listRepositories()
    .some(
      (repository) => repository.project === project && levelInRepository(asker, repository) > levels.none,
    );
  return seesOne ? levels.public : levels.none;
}

/**
 * The repository of the path.
 *
 * @param level - What the caller must be allowed.
 * @throws Refusal 404 for one that the caller may not see, 401 below the level.
 */
export function requireRepository(call: Call, level: Level): DcRepository {
  const { projectKey = '', repositorySlug = '' } = call.request.params;
  const project = call.state.findProject(projectKey);
  if (!project) throw hide(call, `Project ${projectKey}`);
  const repository = call.state.findRepository(projectKey, repositorySlug);
  const what = `Repository ${project.key}/${repositorySlug}`;
  if (!repository) throw hide(call, what);
  const own = levelInRepository(call, repository);
  if (own === levels.none) throw call.settings.hidesRepositories ? hide(call, what) : refusePermission();
  if (own >= level) return repository;
  requireActor(call);
  throw refusePermission();
}

/** The project of the path. @throws Refusal as {@link requireRepository}. */
export function requireProject(call: Call, level: Level): DcProject {
  const { projectKey = '' } = call.request.params;
  const project = call.state.findProject(projectKey);
  const what = `Project ${projectKey}`;
  if (!project) throw hide(call, what);
  const own = levelInProject(call, project);
  if (own === levels.none) throw call.settings.hidesRepositories ? hide(call, what) : refusePermission();
  if (own >= level) return project;
  requireActor(call);
  throw refusePermission();
}

/** Strangers are asked to sign in before they learn what there is not. */
function hide(call: Call, what: string): Error {
  requireActor(call);
  return refuseNotFound(what);
}

/** @throws Refusal 403 where the project keeps its repositories' admins from changing settings. */
export function requireOpenSettings(call: Call, repository: DcRepository): void {
  if (!repository.project.restrictsSettings) return;
  if (levelInProject(call, repository.project) >= levels.admin) return;
  throw refuse(403, 'The settings of this repository are restricted by its project.');
}

/** @throws Refusal 403 where the licence has run out. */
export function requireWritable({ settings }: Call): void {
  if (settings.isLicenceExpired) throw refuse(403, 'The licence has expired: this instance is read-only.');
}
