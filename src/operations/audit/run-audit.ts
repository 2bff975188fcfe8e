import { assertTellable } from '../../errors.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { readLastUsage } from '../../store/usage-log.ts';
import { checkLinks } from '../check-links.ts';
import type { OperationContext } from '../context.ts';
import { withDeadline } from '../deadline.ts';
import { openLink } from '../host-access.ts';
import { getProvider } from '../../providers/registry.ts';
import { isGitOnly } from '../verify-git-credential.ts';
import { auditInstallation } from './audit-installation.ts';
import { auditClients, auditLink, toFindingOf } from './audit-link.ts';
import { auditOrganization } from './audit-organization.ts';
import { auditWebhooks } from './audit-webhooks.ts';
import { sortFindings, type Finding } from './finding.ts';

/** How long one link may keep the others waiting: a thousand hooks are looked at in less. */
const linkDeadlineMs = 120_000;

/**
 * Asks all hosts at once, and lists what an admin should know.
 *
 * @param organization - Whose connections of others are listed, too; null for none.
 */
export async function runAudit(
  context: OperationContext,
  organization: string | null,
): Promise<readonly Finding[]> {
  const before = context.links.read();
  const links = await checkLinks(context, before.links);
  const records = context.links.read();
  const usage = readLastUsage(context.directories.state);
  const now = context.clock.now();
  const known = links.flatMap((link) => auditLink(link, records, usage.get(link.id), now));
  context.reporter.status('Looking at webhooks and installations…');
  const asked = await Promise.all(links.filter(isUsable).map((link) => auditAtHost(context, link)));
  const connected =
    organization === null ? [] : await auditOrganization(context, links.filter(isUsable), organization);
  return sortFindings([...known, ...auditClients(records), ...asked.flat(), ...connected]);
}

function isUsable(link: LinkRecord): boolean {
  const provider = getProvider(link.provider);
  return link.status === 'ok' && provider !== null && !isGitOnly(provider, link);
}

async function auditAtHost(context: OperationContext, link: LinkRecord): Promise<readonly Finding[]> {
  try {
    return await withDeadline(context, linkDeadlineMs, async (signal) => {
      const open = await openLink(context, link, signal);
      return [...(await auditWebhooks(context, open)), ...(await auditInstallation(context, open))];
    });
  } catch (error) {
    assertTellable(error);
    const evidence = `its webhooks could not be looked at: ${error.message.replace(/\.$/, '')}`;
    return [toFindingOf(link)('warning', 'unreachable', evidence, 'gitlink audit')];
  }
}
