import type { Secret } from '../secret.ts';
import type { Account, Credential } from './provider.ts';

/** What git is told; never a refresh token. */
export type GitCredential =
  | { readonly username: string; readonly password: Secret }
  /** For tokens that go in the `Authorization` header alone: git 2.46 and newer. */
  | { readonly bearer: Secret };

/**
 * What git's helper must know of a provider. It stands in a file of its own in the provider's folder that
 * loads nothing else, because the helper's start is felt with every fetch.
 */
export interface GitAccess {
  /** Where repositories lie below the base path of a host. */
  readonly layout: 'plain' | 'scm' | 'azure';
  /** Whether the host tells `Acme` from `acme` in paths. */
  readonly caseSensitive: boolean;
  /** Whether repositories lie in projects that their paths do not show, so that only a list tells. */
  readonly hasHiddenProjects?: boolean;
  /** Whether user names in URLs say nothing about the account there. */
  readonly ignoresUsernames?: boolean;
  toGitCredential(credential: Credential, account: Account): GitCredential;
  /** Other addresses under which the same repositories are cloned: an Azure organization's old one. */
  listOtherHosts?(host: string, organization: string | null): readonly string[];
  /** The address that git clones from; default `HOST/FULL/NAME.git`. */
  toRepositoryUrl?(host: string, fullName: string): string;
}
