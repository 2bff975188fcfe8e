import type { HostClient } from '../../http/host-client.ts';
import {
  signInKind,
  type HostAccess,
  type HostDescription,
  type Namespace,
  type Provider,
  type Repository,
} from '../provider.ts';
import { toRepository } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { giteaGit } from './git.ts';
import { pacing } from './pacing.ts';
import * as schemas from './schemas.ts';
import { rotate } from './rotate.ts';
import { compareScopes, scopes } from './scopes.ts';
import { identifySignIn, oauth } from './sign-in.ts';
import { identify, revoke, toTokenPage } from './tokens.ts';
import { isForgejo } from './versions.ts';
import { webhooks } from './webhooks.ts';
import * as v from 'valibot';

/** Gitea and Forgejo: one adapter, told apart by what a host says of itself. */
export const giteaProvider: Provider = {
  id: 'gitea',
  displayName: 'Gitea or Forgejo',
  aliases: [
    { word: 'forgejo', host: null, flavour: 'forgejo' },
    { word: 'codeberg', host: 'https://codeberg.org', flavour: 'forgejo' },
  ],
  defaultHost: null,
  pacing,
  scopes,
  compareScopes,
  toApiBase: (host) => `${host}/api/v1`,
  recognise,
  identify: (access) => (access.credential.kind === signInKind ? identifySignIn(access) : identify(access)),
  listNamespaces,
  listRepositories,
  findRepository,
  toAuthorization: (credential) => ({ scheme: 'Bearer', secret: credential.token }),
  git: giteaGit,
  tokenPage: toTokenPage,
  tokenVariables: ['GITEA_TOKEN'],
  webhooks,
  oauth,
  revoke,
  rotate,
};

async function recognise(host: string, anonymous: HostClient): Promise<HostDescription | null> {
  const { status, body } = await endpoints.fetchVersion(anonymous);
  // A server that requires signing in refuses even its version, in its own words.
  const refusal = v.safeParse(v.object({ message: v.string() }), body);
  if (status === 403 && refusal.success && refusal.output.message.startsWith('Only signed in user')) {
    return { host, flavour: 'gitea', version: null };
  }
  const answer = v.safeParse(schemas.version, body);
  if (status !== 200 || !answer.success) return null;
  const { version } = answer.output;
  return { host, flavour: isForgejo(version) ? 'forgejo' : 'gitea', version };
}

async function* listNamespaces(access: HostAccess): AsyncIterable<Namespace> {
  if (access.account.login !== null) yield { path: access.account.login, kind: 'user' };
  for await (const path of endpoints.listOrganizations(access.http)) yield { path, kind: 'organization' };
}

/** The list of all repositories needs the least scopes, so one namespace is a filter over it. */
async function* listRepositories(access: HostAccess, namespace: string | null): AsyncIterable<Repository> {
  for await (const found of endpoints.listOwnRepositories(access.http)) {
    const repository = toRepository(found);
    if (namespace === null || namespace.toLowerCase() === repository.namespace.toLowerCase()) {
      yield repository;
    }
  }
}

async function findRepository(access: HostAccess, fullName: string): Promise<Repository | null> {
  const [owner, name, ...rest] = fullName.split('/');
  if (!owner || !name || rest.length > 0) return null;
  const found = await endpoints.findRepository(access.http, owner, name);
  return found === null ? null : toRepository(found);
}
