import { bitbucketProvider } from '../../src/providers/bitbucket/index.ts';
import { describeProviderContract } from '../contracts/provider-contract.ts';
import { renameRepository, smallWorld } from '../simulators/bitbucket/world.ts';
import { startGitea } from '../support/linked.ts';
import { addSignIn, startBitbucket, usualScopes } from './bitbucket-kit.ts';
import { startGitlab } from './gitlab-kit.ts';
import { plainLayout, type ContractHost, type ContractStart } from './provider-kit.ts';

async function start({ basePath, manyRepositories = 0 }: ContractStart = {}): Promise<ContractHost> {
  const bitbucket = await startBitbucket({
    ...(basePath === undefined ? {} : { basePath }),
    world: {
      ...smallWorld,
      repositories: [
        ...(smallWorld.repositories ?? []),
        ...(manyRepositories > 0 ? [{ path: 'acme/many', count: manyRepositories }] : []),
      ],
    },
  });
  return {
    url: bitbucket.url,
    faults: bitbucket.faults,
    addToken: (scopes) => addSignIn(bitbucket, scopes),
    revokeToken: (secret) => {
      const token = bitbucket.state.tokens.get(secret);
      if (token) token.revoked = true;
    },
    rename: (from, to) => renameRepository(bitbucket.state, from, to),
    hookSecretsOf: (fullName) =>
      new Map(bitbucket.hooksOf(fullName).map(({ uuid, secret }) => [uuid, secret])),
  };
}

const layout = { ...plainLayout, ownIsWorkspace: true, hasArchives: false };

describeProviderContract({
  provider: bitbucketProvider,
  start,
  startOthers: async () => [(await startGitea()).url, (await startGitlab()).url],
  scopes: usualScopes,
  gitScopes: ['repository'],
  missingScope: 'account',
  gitAccount: { login: null, kind: 'unknown' },
  account: { login: 'ada', kind: 'user' },
  layout,
  revokesItself: false,
});
