import type { LinkDocument } from '../operations/link-document.ts';
import type { Column } from './table.ts';
import type { Styles } from './styles.ts';

/** The columns of `list`. */
export const linkColumns: readonly Column<LinkDocument>[] = [
  // It is what a person types, so that it is cut last.
  { header: 'NAME', cell: ({ name }) => name, least: 24 },
  // A long name would leave no room for the others.
  {
    header: 'PROVIDER',
    cell: ({ flavour, provider }) => (flavour.length > 12 ? provider : flavour),
    least: 12,
    isDispensable: true,
  },
  // Links of two organizations at one host look alike but for that.
  {
    header: 'HOST',
    cell: ({ host, organization }) => toShortHost(organization === null ? host : `${host}/${organization}`),
    least: 11,
  },
  { header: 'ACCOUNT', cell: describeAccount, least: 7 },
  { header: 'METHOD', cell: ({ method }) => method, isDispensable: true },
  { header: 'ACCESS', cell: describeAccess, least: 6 },
  { header: 'EXPIRES', cell: ({ expiresAt }) => expiresAt?.slice(0, 10) ?? 'never', least: 10 },
  { header: 'STATE', cell: describeState, style: styleState, least: 12 },
];

/** The quick start prints these columns, too, and `toDisplayHost` stands where more would be loaded. */
function toShortHost(host: string): string {
  return host.replace(/^https:\/\//, '');
}

export function describeAccount({ account }: LinkDocument): string {
  return account.login ?? (account.kind === 'unknown' ? 'unknown' : account.kind);
}

/** `all`, or what a restriction leaves. */
export function describeAccess({ restriction, account }: LinkDocument): string {
  if (restriction.mode === 'unrestricted') return account.kind === 'installation' ? 'as installed' : 'all';
  const names = [...restriction.namespaces, ...restriction.repositories];
  return names.length > 0 ? names.join(', ') : 'nothing';
}

export function describeState({ status, statusReason }: LinkDocument): string {
  return statusReason === null ? status : `${status} (${statusReason})`;
}

function styleState({ status }: LinkDocument, styles: Styles): (text: string) => string {
  switch (status) {
    case 'ok':
      return styles.good;
    case 'unchecked':
    case 'expiring':
    case 'pending':
    case 'unreachable':
    case 'unlinking':
      return styles.doubtful;
    case 'expired':
    case 'revoked':
    case 'insufficient':
    case 'suspended':
    case 'secretMissing':
      return styles.bad;
  }
}

/** Whether a link works as far as is known; what is on its way counts as working. */
export function isSound({ status }: LinkDocument): boolean {
  return status === 'ok' || status === 'expiring' || status === 'pending';
}
