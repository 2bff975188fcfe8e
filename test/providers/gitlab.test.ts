import { gitlabProvider } from '../../src/providers/gitlab/index.ts';
import { describeProviderContract } from '../contracts/provider-contract.ts';
import { renameProject, smallWorld } from '../simulators/gitlab/world.ts';
import { startGitea } from '../support/linked.ts';
import { startGitlab, usualScopes } from './gitlab-kit.ts';
import type { ContractHost, ContractStart } from './provider-kit.ts';

async function start({ basePath, manyRepositories = 0 }: ContractStart = {}): Promise<ContractHost> {
  const gitlab = await startGitlab({
    ...(basePath === undefined ? {} : { basePath }),
    world: {
      ...smallWorld,
      projects: [
        ...(smallWorld.projects ?? []),
        ...(manyRepositories > 0 ? [{ path: 'acme/many', count: manyRepositories }] : []),
      ],
    },
  });
  return {
    url: gitlab.url,
    faults: gitlab.faults,
    addToken: (scopes) => gitlab.addToken({ scopes }).secret,
    revokeToken: (secret) => {
      const token = gitlab.state.tokens.get(secret);
      if (token) token.revoked = true;
    },
    rename: (from, to) => renameProject(gitlab.state, from, to),
    hookSecretsOf: (fullName) =>
      new Map(gitlab.hooksOf(fullName).map(({ id, token }) => [String(id), token])),
  };
}

describeProviderContract({
  provider: gitlabProvider,
  start,
  startOthers: async () => [(await startGitea()).url],
  scopes: usualScopes,
  gitScopes: ['read_repository'],
  missingScope: 'read_user',
  gitAccount: { login: null, kind: 'unknown' },
  account: { login: 'ada', kind: 'user' },
});
