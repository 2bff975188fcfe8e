import type { Provider } from '../provider.ts';
import { azureDevopsGit, gitCredentialKind } from './git.ts';
import { pacing } from './pacing.ts';
import { cloudHost, toGrantsUrl, toTokensUrl } from './pages.ts';
import { revoke, rotate } from './pats.ts';
import { parseCloudAddress } from './places.ts';
import { recognise } from './recognise.ts';
import { findRepository, listNamespaces, listRepositories } from './repositories.ts';
import { compareScopes, isEntraKind, scopes, scopesOf } from './scopes.ts';
import { oauth } from './sign-in.ts';
import { identify, recogniseToken, toAuthorization, toTokenPage } from './tokens.ts';
import { webhooks } from './webhooks.ts';

/**
 * Azure DevOps Services and Server. A link is for one organization, on a server for one collection, because a personal
 * access token is.
 */
export const azureDevopsProvider: Provider = {
  id: 'azure-devops',
  displayName: 'Azure DevOps',
  aliases: [{ word: 'azure', host: null, flavour: null }],
  defaultHost: cloudHost,
  pacing,
  scopes,
  scopesOf,
  compareScopes,
  toApiBase: (host) => (parseCloudAddress(host) === null ? host : cloudHost),
  recognise,
  identify,
  listNamespaces,
  listRepositories,
  findRepository,
  toAuthorization,
  git: azureDevopsGit,
  tokenPage: toTokenPage,
  credentialPage: ({ host, organization }, _account, credentialKind) =>
    isEntraKind(credentialKind) ? toGrantsUrl(host) : toTokensUrl(host, organization),
  tokenVariables: ['AZURE_DEVOPS_EXT_PAT'],
  gitOnlyKinds: [gitCredentialKind],
  recogniseToken,
  webhooks,
  oauth,
  revoke,
  rotate,
};
