import { NotFoundError, UsageError } from '../../errors.ts';
import { HostAnswerError } from '../../http/host-answer-error.ts';
import { route } from '../../http/route.ts';
import { narrow } from '../narrow.ts';
import type { Account, HostAccess } from '../provider.ts';
import * as endpoints from './endpoints.ts';
import { apiTokenKind } from './git.ts';
import { isHidden, isScopeMissing } from './refusals.ts';
import * as schemas from './schemas.ts';

type PlaceKind = 'repository' | 'project' | 'workspace';

/** What an access token is of, and all that it reaches. */
export type Place =
  | { readonly kind: 'workspace'; readonly workspace: string; readonly id: string | null }
  | {
      readonly kind: 'repository' | 'project';
      readonly workspace: string;
      /** The repository's slug, or the project's key. */
      readonly name: string;
      readonly id: string | null;
    };

/** By the host's word for the kind: a link's word for it, and what such a token is of. */
const accessTokens: Readonly<Record<string, { readonly kind: string; readonly place: PlaceKind }>> = {
  repo_access_token: { kind: 'repository-access-token', place: 'repository' },
  project_access_token: { kind: 'project-access-token', place: 'project' },
  workspace_access_token: { kind: 'workspace-access-token', place: 'workspace' },
};

/** An access token before the host has told its kind. */
export const anyAccessToken = 'access-token';

/** What the host, or a link that knows it from there, says that an access token is; null for other credentials. */
export function findAccessToken(type: string | null, credentialKind: string) {
  if (credentialKind === apiTokenKind) return null;
  const known = Object.values(accessTokens).find(({ kind }) => kind === credentialKind);
  return accessTokens[type ?? ''] ?? known ?? null;
}

/** Whether no person stands behind a credential. */
export function isUserless(credentialKind: string): boolean {
  return [anyAccessToken, ...Object.values(accessTokens).map(({ kind }) => kind)].includes(credentialKind);
}

/** @returns null for an account that is no place. */
export function parsePlace({ kind, login, id }: Account): Place | null {
  const [workspace, name, ...rest] = (login ?? '').split('/');
  if (!workspace || rest.length > 0) return null;
  if (kind === 'workspace') return name === undefined ? { kind, workspace, id } : null;
  return name && (kind === 'repository' || kind === 'project') ? { kind, workspace, name, id } : null;
}

const examples: Readonly<Record<PlaceKind, string>> = {
  repository: 'acme/site',
  project: 'acme/PROJECT',
  workspace: 'acme',
};

/**
 * Finds what an access token is of. The host does not tell, so the person does, and the token must be able to read
 * it; that much anybody can of a public place.
 *
 * @returns an account without login where nothing was named.
 * @throws UsageError for a name of another form; NotFoundError when the token does not reach it.
 */
export async function findPlace(access: HostAccess, kind: PlaceKind): Promise<Account> {
  const { login: named, id } = access.account;
  if (named === null) return { login: null, kind, id: null };
  const place = parsePlace({ kind, login: named, id });
  if (place === null) {
    throw new UsageError(`This is the access token of a ${kind}, and "${named}" is none.`, {
      hint: `Name it as ${examples[kind]}.`,
    });
  }
  const found = await fetchPlace(access, place);
  if (found !== null) return { kind, ...found };
  throw new NotFoundError(`This access token of a ${kind} does not reach ${named}.`, {
    hint: `Name the ${kind} that it was made for, as ${examples[kind]}.`,
  });
}

/** By its id where that is known already, which survives renames; projects have only their key for an address. */
async function fetchPlace(access: HostAccess, place: Place): Promise<{ login: string; id: string } | null> {
  switch (place.kind) {
    case 'repository': {
      const answer = await endpoints.findRepository(access.http, place.workspace, place.id ?? place.name);
      return answer && { login: answer.found.full_name, id: answer.found.uuid };
    }
    case 'project': {
      const found = await fetchProject(access, place.workspace, place.name);
      return found && { login: `${place.workspace.toLowerCase()}/${found.key}`, id: found.uuid };
    }
    case 'workspace': {
      const body = await fetchVisible(access, route`/workspaces/${place.id ?? place.workspace}`);
      if (body === null) return null;
      const { slug, uuid } = narrow(schemas.workspace, body, 'the workspace');
      return { login: slug, id: uuid };
    }
  }
}

/** A token without the scope `project` still sees its project on each of its repositories. */
async function fetchProject(access: HostAccess, workspace: string, key: string) {
  try {
    const body = await fetchVisible(access, route`/workspaces/${workspace}/projects/${key}`);
    return body === null ? null : narrow(schemas.project, body, 'the project');
  } catch (error) {
    if (!(error instanceof HostAnswerError) || !isScopeMissing(error.hostMessage)) throw error;
    return endpoints.findProjectOfRepositories(access.http, workspace, key);
  }
}

async function fetchVisible({ http }: HostAccess, where: ReturnType<typeof route>): Promise<unknown> {
  try {
    const { body } = await http.request({ method: 'GET', route: where });
    return body;
  } catch (error) {
    if (isHidden(error)) return null;
    throw error;
  }
}
