import { azureDevopsProvider } from './azure-devops/index.ts';
import { bitbucketProvider } from './bitbucket/index.ts';
import { bitbucketDcProvider } from './bitbucket-dc/index.ts';
import { giteaProvider } from './gitea/index.ts';
import { githubProvider } from './github/index.ts';
import { gitlabProvider } from './gitlab/index.ts';
import type { Provider, ProviderId } from './provider.ts';

/** Every provider that gitlink knows. */
export const providers: readonly Provider[] = [
  azureDevopsProvider,
  bitbucketProvider,
  bitbucketDcProvider,
  giteaProvider,
  githubProvider,
  gitlabProvider,
];

/** A provider as a person named it, with what the word stands for. */
export interface ProviderChoice {
  readonly provider: Provider;
  /** Null where a host must be named. */
  readonly host: string | null;
  /** The product that the word names; the provider's id where it serves one alone, and where the word is that id. */
  readonly flavour: string;
}

/** @returns null for a word that is no provider. */
export function findProvider(word: string): ProviderChoice | null {
  const wanted = word.toLowerCase();
  for (const provider of providers) {
    if (provider.id === wanted) return { provider, host: provider.defaultHost, flavour: provider.id };
    const alias = provider.aliases.find((candidate) => candidate.word === wanted);
    if (alias) {
      const { host, flavour } = alias;
      return { provider, host: host ?? provider.defaultHost, flavour: flavour ?? provider.id };
    }
  }
  return null;
}

/** @returns null for a provider that this version of gitlink does not have. */
export function getProvider(id: ProviderId): Provider | null {
  return providers.find((provider) => provider.id === id) ?? null;
}
