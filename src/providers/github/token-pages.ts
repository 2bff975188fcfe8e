import type { SignInPlace } from '../oauth-support.ts';
import { signInKind, type Account, type Capability, type TokenPage, installationKind } from '../provider.ts';
import { toCloudHost } from './hosts.ts';
import { fineGrainedKind, pastedSignInKind } from './kinds.ts';
import { toFineGrainedUrl, toGrantsUrl, toInstallationsUrl, toTokensUrl } from './pages.ts';
import { toLeastScopes } from './scopes.ts';

/**
 * The page for a new token, filled in. Enterprise Servers fill in only that of classic ones.
 *
 * @see https://docs.github.com/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens#pre-filling-fine-grained-personal-access-token-details-using-url-parameters
 */
export function toTokenPage({ host }: SignInPlace, capabilities: readonly Capability[]): TokenPage {
  return toCloudHost(host) === null
    ? toClassicPage(host, capabilities)
    : toFineGrainedPage(host, capabilities);
}

function toClassicPage(host: string, capabilities: readonly Capability[]): TokenPage {
  const scopes = toLeastScopes(capabilities);
  const query = new URLSearchParams({ scopes: scopes.join(','), description: 'gitlink' });
  const url = toTokensUrl(host);
  return {
    url: capabilities.length === 0 ? url : `${url}/new?${query.toString().replaceAll('%2C', ',')}`,
    instructions: `Name it "gitlink", and give it a last day and the scopes ${scopes.join(', ')}.`,
  };
}

function toFineGrainedPage(host: string, capabilities: readonly Capability[]): TokenPage {
  const permissions = toLeastScopes(capabilities, 'permissions');
  const wanted = permissions.map((name) => name.split(':') as [name: string, level: string]);
  const query = new URLSearchParams([['name', 'gitlink'], ['expires_in', '90'], ...wanted]);
  const url = toFineGrainedUrl(host);
  return {
    url: capabilities.length === 0 ? url : `${url}/new?${query.toString()}`,
    instructions: `Choose the owner and the repositories, and check the last day and the permissions ${permissions.join(', ')}. An organization may want to approve the token.`,
  };
}

/** Where a person ends or replaces a token. */
export function toCredentialPage({ host }: SignInPlace, _account: Account, kind: string): string {
  if (kind === fineGrainedKind) return toFineGrainedUrl(host);
  if (kind === installationKind) return toInstallationsUrl(host);
  return kind === pastedSignInKind || kind === signInKind ? toGrantsUrl(host) : toTokensUrl(host);
}
