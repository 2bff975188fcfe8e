import type { Identity } from '../../providers/provider.ts';
import { installationKind } from '../../providers/provider.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';
import { lookForInstallation, toAccount } from './installations.ts';

/** What the host says of the installation that a link is of. */
export interface InstallationCheck {
  readonly status: 'ok' | 'pending' | 'suspended' | 'revoked';
  readonly statusReason: string | null;
  readonly identity: Identity | null;
}

/** Asks the host about a link's installation; one that waited for an owner is taken as soon as it is there. */
export async function checkInstallation(
  context: OperationContext,
  link: LinkRecord,
  signal: AbortSignal,
): Promise<InstallationCheck> {
  const finding = await lookForInstallation(context, link, signal);
  if (finding.outcome === 'pending') return { status: 'pending', statusReason: 'approval', identity: null };
  if (finding.outcome === 'gone') return { status: 'revoked', statusReason: 'uninstalled', identity: null };
  const { permissions, isSuspended } = finding.installation;
  const identity: Identity = {
    account: toAccount(finding.installation),
    credentialKind: installationKind,
    scopes: permissions,
    expiresAt: null,
  };
  return { status: isSuspended ? 'suspended' : 'ok', statusReason: null, identity };
}
