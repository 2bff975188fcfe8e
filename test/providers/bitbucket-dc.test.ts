import { bitbucketDcProvider } from '../../src/providers/bitbucket-dc/index.ts';
import { describeProviderContract } from '../contracts/provider-contract.ts';
import { renameRepository } from '../simulators/bitbucket-dc/world.ts';
import { startGitea } from '../support/linked.ts';
import { startDc } from './bitbucket-dc-kit.ts';
import { startGitlab } from './gitlab-kit.ts';
import type { ContractHost, ContractStart } from './provider-kit.ts';

async function start({ basePath, manyRepositories = 0 }: ContractStart = {}): Promise<ContractHost> {
  const dc = await startDc({
    ...(basePath === undefined ? {} : { basePath }),
    // Hundreds of repositories on few pages would prove nothing.
    settings: { maxPageSize: 50 },
    world: {
      users: [{ name: 'ada' }, { name: 'bob' }],
      projects: [
        { key: 'acme', members: { ada: 'admin' } },
        { key: 'bob', members: { bob: 'admin' } },
        { key: '~ada' },
      ],
      repositories: [
        { path: '~ada/site', public: true },
        { path: '~ada/notes' },
        { path: 'acme/api' },
        { path: 'acme/old', archived: true },
        { path: 'bob/secret' },
        ...(manyRepositories > 0 ? [{ path: 'acme/many', count: manyRepositories }] : []),
      ],
    },
  });
  return {
    url: dc.url,
    faults: dc.faults,
    addToken: (permissions) => dc.addToken({ permissions }).secret,
    revokeToken: (secret) => void dc.state.tokens.delete(secret),
    rename: (from, to) => {
      renameRepository(dc.state, from, to);
      redirect(from, to);
    },
    hookSecretsOf: (fullName) =>
      new Map(
        dc
          .hooksOf(fullName)
          .map(({ id, settings }) => [String(id), settings.configuration['secret'] ?? null]),
      ),
  };

  /** Servers lead from the old address to the new one, as atlassian-api/atlassian-python-api#415 met it. */
  function redirect(from: string, to: string): void {
    const toPath = (name: string) => `/rest/api/latest/projects/${name.replace('/', '/repos/')}`;
    const location = `${dc.url}${toPath(to)}`;
    dc.faults.add({
      method: 'GET',
      path: new RegExp(`^${toPath(from)}$`),
      fault: { kind: 'answer', answer: { status: 301, headers: { location } } },
    });
  }
}

describeProviderContract({
  provider: bitbucketDcProvider,
  start,
  startOthers: async () => [(await startGitlab()).url, (await startGitea()).url],
  scopes: ['PROJECT_READ', 'REPO_ADMIN'],
  gitScopes: ['REPO_READ'],
  missingScope: null,
  gitAccount: { login: 'ada', kind: 'user' },
  account: { login: 'ada', kind: 'user' },
  layout: {
    own: '~ada',
    defaultBranch: null,
    cloneUrl: (host, fullName) => `${host}/scm/${fullName}.git`,
    webUrl: (host, fullName) => `${host}/users/${fullName.slice(1).replace('/', '/repos/')}`,
  },
  revokesItself: false,
});
