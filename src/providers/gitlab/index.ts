import type { HostClient } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { HostDescription, Provider } from '../provider.ts';
import { gitlabGit } from './git.ts';
import { pacing } from './pacing.ts';
import { lacksScope, ask } from './refusals.ts';
import { findRepository, listNamespaces, listRepositories } from './repositories.ts';
import { rotate } from './rotation.ts';
import * as schemas from './schemas.ts';
import { compareScopes, scopes } from './scopes.ts';
import { oauth } from './sign-in.ts';
import { identify, recogniseToken, revoke, toTokenPage } from './tokens.ts';
import { webhooks } from './webhooks.ts';
import * as v from 'valibot';

/** gitlab.com, GitLab Self-Managed and Dedicated. */
export const gitlabProvider: Provider = {
  id: 'gitlab',
  displayName: 'GitLab',
  aliases: [],
  defaultHost: 'https://gitlab.com',
  pacing,
  scopes,
  compareScopes,
  toApiBase: (host) => `${host}/api/v4`,
  recognise,
  identify,
  listNamespaces,
  listRepositories,
  findRepository,
  // `PRIVATE-TOKEN` is for some kinds of token only.
  toAuthorization: (credential) => ({ scheme: 'Bearer', secret: credential.token }),
  git: gitlabGit,
  tokenPage: toTokenPage,
  tokenVariables: ['GITLAB_TOKEN'],
  recogniseToken,
  gitOnlyKinds: ['deploy-token'],
  webhooks,
  oauth,
  revoke,
  rotate,
};

/**
 * GitLab tells its version only those who signed in and may read the API; the others it refuses in words of its
 * own. `/metadata` has replaced `/version` in 15.2.
 */
async function recognise(host: string, http: HostClient): Promise<HostDescription | null> {
  for (const question of [route`/metadata`, route`/version`]) {
    const answer = await ask(http, question);
    const description = v.safeParse(schemas.version, answer.body);
    if (answer.status === 200 && description.success) {
      return { host, flavour: 'gitlab', version: description.output.version };
    }
    const isOwnWord = answer.status === 401 && answer.refusal?.text === '401 Unauthorized';
    if (isOwnWord || lacksScope(answer)) return { host, flavour: 'gitlab', version: null };
  }
  return null;
}
