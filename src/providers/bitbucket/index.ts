import type { HostClient } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { HostDescription, Provider } from '../provider.ts';
import { bitbucketGit } from './git.ts';
import { pacing } from './pacing.ts';
import { cloudHost } from './pages.ts';
import { findRepository, listNamespaces, listRepositories } from './repositories.ts';
import * as schemas from './schemas.ts';
import { compareScopes, scopes } from './scopes.ts';
import { oauth } from './sign-in.ts';
import {
  identify,
  recogniseToken,
  revoke,
  rotate,
  toAuthorization,
  toCredentialPage,
  toTokenPage,
} from './tokens.ts';
import { webhooks } from './webhooks.ts';
import * as v from 'valibot';

/** bitbucket.org. Bitbucket Data Center is another product with an API of its own. */
export const bitbucketProvider: Provider = {
  id: 'bitbucket',
  displayName: 'Bitbucket Cloud',
  aliases: [],
  defaultHost: cloudHost,
  pacing,
  scopes,
  compareScopes,
  toApiBase: (host) => (host === cloudHost ? 'https://api.bitbucket.org/2.0' : `${host}/2.0`),
  recognise,
  identify,
  listNamespaces,
  listRepositories,
  findRepository,
  toAuthorization,
  git: bitbucketGit,
  tokenPage: toTokenPage,
  credentialPage: ({ host }, account, kind) => toCredentialPage(host, account, kind),
  tokenVariables: ['BITBUCKET_TOKEN'],
  recogniseToken,
  webhooks,
  oauth,
  revoke,
  rotate,
};

/**
 * There is one Bitbucket Cloud, so its name says it all; asking would cost one of 60 anonymous calls that everybody
 * behind the same address has an hour. Test servers are asked for the one answer that is public.
 */
async function recognise(host: string, http: HostClient): Promise<HostDescription | null> {
  const description = { flavour: 'bitbucket', version: null };
  if (host === cloudHost || host.startsWith(`${cloudHost}/`)) return { host: cloudHost, ...description };
  const accept = [400, 401, 403, 404, 405, 410];
  const { status, body } = await http.request({ method: 'GET', route: route`/hook_events`, accept });
  return status === 200 && v.is(schemas.hookSubjects, body) ? { host, ...description } : null;
}
