import type { HostClient } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { HostDescription, Provider } from '../provider.ts';
import { bitbucketDcGit } from './git.ts';
import { revoke, rotate } from './managed-tokens.ts';
import { pacing } from './pacing.ts';
import { toTokensUrlOf } from './pages.ts';
import { findRepository, listNamespaces, listRepositories } from './repositories.ts';
import * as schemas from './schemas.ts';
import { compareScopes, scopes } from './scopes.ts';
import { oauth } from './sign-in.ts';
import { identify, recogniseToken, toTokenPage } from './tokens.ts';
import { webhooks } from './webhooks.ts';
import * as v from 'valibot';

/** Bitbucket Data Center, once Bitbucket Server and Stash. */
export const bitbucketDcProvider: Provider = {
  id: 'bitbucket-dc',
  displayName: 'Bitbucket Data Center',
  aliases: [],
  defaultHost: null,
  pacing,
  scopes,
  compareScopes,
  toApiBase: (host) => `${host}/rest/api/latest`,
  recognise,
  identify,
  listNamespaces,
  listRepositories,
  findRepository,
  toAuthorization: (credential) => ({ scheme: 'Bearer', secret: credential.token }),
  git: bitbucketDcGit,
  tokenPage: toTokenPage,
  credentialPage: ({ host }, account) => toTokensUrlOf(host, account),
  tokenVariables: ['BITBUCKET_TOKEN'],
  recogniseToken,
  webhooks,
  oauth,
  revoke,
  rotate,
};

/** Every server tells its version to everybody. */
async function recognise(host: string, anonymous: HostClient): Promise<HostDescription | null> {
  const { status, body } = await anonymous.request({
    method: 'GET',
    route: route`/application-properties`,
    accept: [400, 401, 403, 404, 410],
  });
  const found = v.safeParse(schemas.applicationProperties, body);
  if (status !== 200 || !found.success) return null;
  return { host, flavour: 'bitbucket-dc', version: found.output.version };
}
