import { describeProviderContract } from '../contracts/provider-contract.ts';
import type { AzureDevopsSimulatorOptions } from '../simulators/azure-devops/server.ts';
import { requireRepository } from '../simulators/azure-devops/state.ts';
import { startGitea } from '../support/linked.ts';
import { hooksAt, provider, startAzureDevops } from './azure-devops-kit.ts';
import type { ContractHost, ContractLayout, ContractStart } from './provider-kit.ts';

/** ada administrates the projects `ada` and `acme` of an organization; the project `bob` she does not see. */
function start(options: AzureDevopsSimulatorOptions) {
  return async ({ basePath, manyRepositories = 0 }: ContractStart = {}): Promise<ContractHost> => {
    const azure = await startAzureDevops({
      ...options,
      ...(basePath === undefined ? {} : { basePath }),
      world: {
        users: [
          { login: 'ada', tenant: 'contoso' },
          { login: 'bob', tenant: 'contoso' },
        ],
        organizations: [
          {
            name: 'contoso',
            tenant: options.deployment === 'onPremises' ? null : 'contoso',
            members: { ada: 'member', bob: 'member' },
            projects: [
              {
                name: 'ada',
                public: true,
                roles: { ada: 'administrator' },
                repositories: [{ name: 'site' }, { name: 'notes' }],
              },
              {
                name: 'acme',
                roles: { ada: 'administrator', bob: 'contributor' },
                repositories: [
                  { name: 'api' },
                  { name: 'old', disabled: true },
                  ...(manyRepositories > 0 ? [{ name: 'many', count: manyRepositories }] : []),
                ],
              },
              { name: 'bob', roles: { bob: 'administrator' }, repositories: [{ name: 'secret' }] },
            ],
          },
        ],
      },
    });
    return {
      url: azure.url,
      faults: azure.faults,
      addToken: (scopes) => azure.addToken({ organization: 'contoso', scopes }).secret,
      revokeToken: (secret) => {
        const token = azure.state.tokens.get(secret);
        if (token) token.revoked = true;
      },
      rename: (from, to) => {
        requireRepository(azure.state, from).name = to.slice(to.lastIndexOf('/') + 1);
      },
      hookSecretsOf: (fullName) => {
        const hooks = hooksAt(azure, fullName);
        const ids = hooks.map(({ id }) => id).sort();
        const [secret = null, ...others] = new Set(hooks.map(({ id }) => azure.secretOf(id)));
        if (ids.length === 0) return new Map();
        return new Map([[ids.join('+'), others.length > 0 ? 'not all the same' : secret]]);
      },
    };
  };
}

const layout: ContractLayout = {
  own: 'contoso/ada',
  prefix: 'contoso/',
  organization: 'contoso',
  ownIsWorkspace: true,
  listsInOneCall: true,
  followsRenames: false,
  defaultBranch: 'main',
  cloneUrl: toUrl,
  webUrl: toUrl,
};

function toUrl(host: string, fullName: string): string {
  return `${host}/${fullName.replace(/\/([^/]+)$/, '/_git/$1')}`;
}

const common = {
  provider,
  startOthers: async () => [(await startGitea()).url],
  scopes: ['vso.code_write'],
  hidesScopes: true,
  gitScopes: ['vso.code'],
  missingScope: null,
  revokesItself: false,
  layout,
} as const;

const services = { login: 'ada@contoso.test', kind: 'user' } as const;

describeProviderContract({ ...common, start: start({}), gitAccount: services, account: services });

describeProviderContract({
  ...common,
  flavour: 'azure-devops-server',
  start: start({ deployment: 'onPremises', highestVersion: '6.0' }),
  gitAccount: services,
  account: services,
});
