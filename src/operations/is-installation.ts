import { installationKind } from '../providers/provider.ts';
import type { LinkRecord } from '../store/link-schema.ts';

/** Whether a link is an installation of an app, or waits to be one. A token of one that a person pasted is a token. */
export function isInstallation({
  credentialKind,
  method,
}: Pick<LinkRecord, 'credentialKind' | 'method'>): boolean {
  return credentialKind === installationKind && method === 'app';
}
