import { githubProvider } from '../../src/providers/github/index.ts';
import { describeProviderContract } from '../contracts/provider-contract.ts';
import type { GithubSimulatorOptions } from '../simulators/github/server.ts';
import { renameRepository, smallWorld } from '../simulators/github/world.ts';
import { startGitea } from '../support/linked.ts';
import { cloud, startGithub, usualScopes } from './github-kit.ts';
import type { ContractFixture, ContractHost, ContractStart } from './provider-kit.ts';
import { startGitlab } from './gitlab-kit.ts';

function startAs(options: GithubSimulatorOptions): ContractFixture['start'] {
  return async ({ basePath, manyRepositories = 0 }: ContractStart = {}): Promise<ContractHost> => {
    const github = await startGithub({
      ...options,
      ...(basePath === undefined ? {} : { basePath }),
      world: {
        ...smallWorld,
        repositories: [
          ...(smallWorld.repositories ?? []),
          { path: 'acme/old', archived: true },
          ...(manyRepositories > 0 ? [{ path: 'acme/many', count: manyRepositories }] : []),
        ],
      },
    });
    return {
      url: github.url,
      faults: github.faults,
      addToken: (scopes) => github.addToken({ scopes }).secret,
      revokeToken: (secret) => {
        const token = github.state.tokens.get(secret);
        if (token) token.revoked = true;
      },
      rename: (from, to) => renameRepository(github.state, from, to),
      hookSecretsOf: (fullName) =>
        new Map(github.hooksOf(fullName).map(({ id, secret }) => [String(id), secret])),
    };
  };
}

const fixture = {
  provider: githubProvider,
  startOthers: async () => [(await startGitea()).url, (await startGitlab()).url],
  scopes: usualScopes,
  gitScopes: ['repo'],
  missingScope: null,
  gitAccount: { login: 'ada', kind: 'user' },
  account: { login: 'ada', kind: 'user' },
} as const satisfies Omit<ContractFixture, 'start'>;

describeProviderContract({
  ...fixture,
  start: startAs({}),
  flavour: 'github-enterprise-server',
  revokesItself: false,
});

describeProviderContract({ ...fixture, start: startAs(cloud) });
