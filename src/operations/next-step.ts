import { getProvider } from '../providers/registry.ts';
import { environmentId, nameEnvironmentStep } from '../store/environment-records.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { findCredentialPage } from './revoke-credential.ts';

/**
 * What a person can do about a link that does not work, by what is known of it.
 *
 * @returns null for a link that works, and where nothing but time helps.
 */
export function findNextStep(link: LinkRecord): string | null {
  const { name, status, statusReason, account } = link;
  const renewal = link.id === environmentId ? nameEnvironmentStep(link) : `gitlink relink ${name}`;
  const provider = getProvider(link.provider);
  const page = provider === null ? link.host : findCredentialPage(provider, link);
  switch (status) {
    case 'unlinking':
      return `gitlink unlink ${name}`;
    case 'pending':
      return account.id === null
        ? `when an owner of ${account.login ?? 'the account'} has agreed: gitlink link --resume ${name}`
        : `an owner has to approve the token (${page}); then: gitlink list --check`;
    case 'suspended':
      return `whoever suspended it can lift that (${page}); then: gitlink list --check`;
    case 'insufficient':
      return statusReason === 'sso'
        ? `authorise it for single sign-on (${page}); then: gitlink list --check`
        : renewal;
    case 'revoked':
      return statusReason === 'uninstalled' ? `install the App again: ${renewal}` : renewal;
    case 'expired':
    case 'secretMissing':
      return renewal;
    case 'unchecked':
    case 'ok':
    case 'expiring':
    case 'unreachable':
      return null;
  }
}
