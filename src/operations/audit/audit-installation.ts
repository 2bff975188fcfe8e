import type { LinkRecord } from '../../store/link-schema.ts';
import { openAppOf } from '../apps/open-app.ts';
import { isInstallation } from '../is-installation.ts';
import type { OperationContext } from '../context.ts';
import type { OpenLink } from '../host-access.ts';
import { allows } from '../restriction.ts';
import { toFindingOf } from './audit-link.ts';
import type { Finding } from './finding.ts';

/** More than this is "more", and counting on costs requests. */
const countLimit = 1_000;

/** Whether an App's installation is wider than the link's restriction, and what became of the App's webhook. */
export async function auditInstallation(
  context: OperationContext,
  open: OpenLink,
): Promise<readonly Finding[]> {
  const { link } = open;
  if (!isInstallation(link) || link.account.id === null) return [];
  const { support, access, client } = await openAppOf(context, link);
  const installation = await support.findInstallation(access, link.account.id);
  const finding = toFindingOf(link);
  if (installation === null) {
    return [
      finding(
        'error',
        'installation-missing',
        'the App is not installed there any more',
        `gitlink relink ${link.name}`,
      ),
    ];
  }
  if (installation.isSuspended) {
    return [finding('error', 'suspended', 'the installation is suspended', installation.pageUrl)];
  }
  const findings: Finding[] = [];
  const more = await countBeyond(open);
  if (more > 0) {
    const reach = installation.isSelective
      ? ''
      : `; it is installed on all repositories of ${installation.login}`;
    const number = more > countLimit ? `more than ${countLimit}` : String(more);
    const evidence = `the installation reaches ${number} repositories that the restriction leaves out${reach}`;
    findings.push(finding('warning', 'installation-wider', evidence, installation.pageUrl));
  }
  const target = client.app.webhook;
  if (target === null || !link.webhook || link.webhook.at !== 'app') return findings;
  const webhook = await support.readWebhook(access);
  const fix = `gitlink regenerate-webhooks ${link.name}`;
  if (webhook === null || webhook.url !== target.url) {
    const evidence =
      webhook === null ? 'the App has no webhook' : "the App's webhook delivers to another address";
    return [...findings, finding('error', 'webhook-missing', evidence, fix)];
  }
  if (!webhook.hasSecret) {
    findings.push(finding('error', 'webhook-without-secret', "the App's webhook has no secret", fix));
  }
  const delivery = await support.readNewestDelivery(access);
  if (delivery.outcome === 'failed') {
    const evidence = `the newest delivery failed: ${delivery.reason}`;
    findings.push(finding('error', 'webhook-failing', evidence, `${fix} --repair --verify`));
  }
  return findings;
}

/** How many repositories the credential reaches that the link may not be used for. */
async function countBeyond({ link, provider, access }: OpenLink): Promise<number> {
  if (!isRestricted(link)) return 0;
  let beyond = 0;
  for await (const repository of provider.listRepositories(access, null)) {
    if (!allows(link.restriction, repository)) beyond += 1;
    if (beyond > countLimit) break;
  }
  return beyond;
}

function isRestricted({ restriction }: LinkRecord): boolean {
  return restriction.mode === 'restricted';
}
