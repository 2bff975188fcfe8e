import { giteaProvider } from '../../src/providers/gitea/index.ts';
import { describeProviderContract } from '../contracts/provider-contract.ts';
import { renameRepository, smallWorld } from '../simulators/gitea/world.ts';
import { startGitea } from '../support/linked.ts';
import { startGitlab } from './gitlab-kit.ts';
import type { ContractHost, ContractStart } from './provider-kit.ts';

async function start({ basePath, manyRepositories = 0 }: ContractStart = {}): Promise<ContractHost> {
  const gitea = await startGitea({
    ...(basePath === undefined ? {} : { basePath }),
    world: {
      ...smallWorld,
      repositories: [
        ...(smallWorld.repositories ?? []),
        { owner: 'bob', name: 'secret', private: true },
        ...(manyRepositories > 0 ? [{ owner: 'acme', name: 'many', count: manyRepositories }] : []),
      ],
    },
  });
  return {
    url: gitea.url,
    faults: gitea.faults,
    addToken: (scopes) => gitea.addToken({ user: 'ada', scopes }).secret,
    revokeToken: (secret) => {
      for (const [key, token] of gitea.state.tokens)
        if (token.secret === secret) gitea.state.tokens.delete(key);
    },
    rename: (from, to) => renameRepository(gitea.state, from, to),
    hookSecretsOf: (fullName) =>
      new Map(gitea.hooksOf(fullName).map((hook) => [String(hook.id), hook.secret])),
  };
}

describeProviderContract({
  provider: giteaProvider,
  start,
  startOthers: async () => [(await startGitlab()).url],
  scopes: ['read:user', 'read:organization', 'write:repository'],
  gitScopes: ['read:repository'],
  missingScope: 'read:user',
  // Since 1.27 a token may describe itself.
  gitAccount: { login: 'ada', kind: 'user' },
  account: { login: 'ada', kind: 'user' },
});
