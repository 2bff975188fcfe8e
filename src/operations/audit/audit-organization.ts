import {
  ForbiddenError,
  type GitlinkError,
  NotFoundError,
  UnsupportedError,
  assertTellable,
} from '../../errors.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import { auditSupports } from '../../providers/audit-registry.ts';
import type { Connection } from '../../providers/audit-support.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';
import { openLink } from '../host-access.ts';
import { judgeEnd, judgeUse, severities, type Finding, type Severity } from './finding.ts';

const tellingProviders = Object.entries(auditSupports).flatMap(([id, support]) =>
  support.listConnections === undefined ? [] : [id],
);

/**
 * Lists what others have connected to an organization, by every link whose credential may see it. An organization of
 * the same name at another host is another one.
 *
 * @throws NotFoundError, ForbiddenError when no link sees anything of it; UnsupportedError when no host tells such things.
 */
export async function auditOrganization(
  context: OperationContext,
  links: readonly LinkRecord[],
  organization: string,
): Promise<readonly Finding[]> {
  const able = links.filter((link) => auditSupports[link.provider]?.listConnections !== undefined);
  if (able.length === 0) {
    throw new UnsupportedError('No linked host tells what others connected to an organization.', {
      hint: `gitlink can ask: ${tellingProviders.join(', ')}`,
    });
  }
  context.reporter.status(`Looking at ${organization}…`);
  const results = await Promise.all(able.map((link) => tryLink(context, link, organization)));
  const found = new Map<string, Finding>();
  // Two links of one host see the same things.
  for (const finding of results.flatMap(({ findings }) => findings)) {
    found.set([finding.code, finding.subject, finding.evidence].join('\0'), finding);
  }
  if (results.some(({ error }) => error === null)) return [...found.values()];
  const errors = results.flatMap(({ error }) => (error ? [error] : []));
  throw (
    errors.find(({ code }) => code === 'forbidden') ??
    errors[0] ??
    new NotFoundError(`There is no ${organization}.`)
  );
}

interface OrganizationAudit {
  readonly findings: readonly Finding[];
  /** Why the link sees nothing of it. */
  readonly error: GitlinkError | null;
}

async function tryLink(
  context: OperationContext,
  link: LinkRecord,
  organization: string,
): Promise<OrganizationAudit> {
  try {
    const { access, provider } = await openLink(context, link);
    const support = auditSupports[provider.id];
    const hidden: string[] = [];
    const findings: Finding[] = [];
    const connections = support?.listConnections?.(access, organization, (what) => hidden.push(what)) ?? [];
    for await (const connection of connections) {
      findings.push(toFinding(connection, link, context.clock.now()));
      context.reporter.status(`Looking at ${organization}… ${findings.length}`);
    }
    if (hidden.length > 0) {
      context.reporter.warn(
        `${link.name}: of ${organization} its credential does not see ${hidden.join(', ')}.`,
      );
    }
    return { findings, error: null };
  } catch (error) {
    assertTellable(error);
    if (error instanceof ForbiddenError || error instanceof NotFoundError) return { findings: [], error };
    context.reporter.warn(`${link.name}: ${error.message}`);
    return { findings: [], error };
  }
}

function toFinding(connection: Connection, { host }: LinkRecord, now: number): Finding {
  const { kind, name, owner, powers, expiresAt, lastUsedAt, isActive, trouble, pageUrl } = connection;
  const end = typeof expiresAt === 'number' ? judgeEnd(expiresAt, now) : null;
  const use = typeof lastUsedAt === 'number' ? judgeUse(lastUsedAt, lastUsedAt, now) : null;
  const notes: readonly (readonly [Severity, string])[] = [
    ...(end ? [[end.severity, end.evidence] as const] : []),
    ...(expiresAt === 'never' ? [['warning', 'never ends'] as const] : []),
    ...(use ? [['warning', use] as const] : []),
    ...(lastUsedAt === 'never' ? [['info', 'never used'] as const] : []),
    ...(isActive ? [] : [['warning', 'switched off'] as const]),
    ...(trouble ? [['warning', trouble] as const] : []),
  ];
  const worst = notes.reduce((most, [severity]) => Math.max(most, severities.indexOf(severity)), 0);
  const may =
    powers.length > 0
      ? `${kind === 'webhook' ? 'hears of' : 'may'} ${powers.join(', ')}`
      : 'has no powers that the host tells';
  return {
    severity: severities[worst] ?? 'info',
    code: `connected-${kind}`,
    link: null,
    subject: `${name} of ${owner ?? 'an unknown owner'} at ${toDisplayHost(host)}`,
    evidence: [may, ...notes.map(([, text]) => text)].join('; '),
    fix: pageUrl,
  };
}
