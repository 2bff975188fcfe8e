import type { Provider } from '../provider.ts';
import { apps } from './apps.ts';
import { githubGit } from './git.ts';
import { cloudHost, toApiBase } from './hosts.ts';
import { pacing, pacingOf } from './pacing.ts';
import { recognise } from './recognise.ts';
import { findRepository, listNamespaces, listRepositories } from './repositories.ts';
import { revoke } from './revocation.ts';
import { compareScopes, scopes, scopesOf } from './scopes.ts';
import { oauth } from './sign-in.ts';
import { toCredentialPage, toTokenPage } from './token-pages.ts';
import { identify, recogniseToken } from './tokens.ts';
import { webhooks } from './webhooks.ts';

/** github.com, its tenants at ghe.com, and Enterprise Server. */
export const githubProvider: Provider = {
  id: 'github',
  displayName: 'GitHub',
  aliases: [],
  defaultHost: cloudHost,
  pacing,
  pacingOf,
  scopes,
  scopesOf,
  compareScopes,
  toApiBase,
  recognise,
  identify,
  listNamespaces,
  listRepositories,
  findRepository,
  // Signed requests of Apps take no other word.
  toAuthorization: (credential) => ({ scheme: 'Bearer', secret: credential.token }),
  git: githubGit,
  tokenPage: toTokenPage,
  credentialPage: toCredentialPage,
  tokenVariables: ['GH_TOKEN', 'GITHUB_TOKEN'],
  recogniseToken,
  webhooks,
  oauth,
  apps,
  revoke,
};
