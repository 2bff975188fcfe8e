import type { InspectedWebhook } from '../../providers/audit-support.ts';
import { auditSupports } from '../../providers/audit-registry.ts';
import type { WebhookAdmin, WebhookPlace } from '../../providers/webhook-support.ts';
import type { JournalEntry } from '../../store/webhook-journal.ts';
import { assertTellable } from '../../errors.ts';
import { concurrently } from '../concurrently.ts';
import type { OperationContext } from '../context.ts';
import type { OpenLink } from '../host-access.ts';
import { findPacing } from '../open-anonymous.ts';
import { describeFault } from '../plan-webhooks.ts';
import { findOwnWebhooks, toPlace } from '../remove-webhooks.ts';
import type { ToFinding } from './audit-link.ts';
import type { Finding } from './finding.ts';

/** What became of the hooks that gitlink has made: each place that the journal knows is looked at. */
export async function auditWebhooks(context: OperationContext, open: OpenLink): Promise<readonly Finding[]> {
  const { link, provider } = open;
  const { webhook: target } = link;
  const admin = provider.webhooks;
  if (!target || !admin || target.at === 'app') return [];
  const entries = findOwnWebhooks(context, link);
  const finding = toFindingOf(link.name, link.name);
  const findings: Finding[] = [];
  if (entries.length === 0) {
    findings.push(
      finding(
        'warning',
        'webhook-missing',
        'it has a target for webhooks, and none was made',
        regenerate(link.name),
      ),
    );
  } else if (target.nextSecretItem !== null) {
    const evidence = 'a run was stopped on its way, so that some hooks have another secret than others';
    findings.push(finding('warning', 'webhook-run-unfinished', evidence, regenerate(link.name)));
  }
  const concurrency = findPacing(provider, link.host).concurrency;
  for await (const found of concurrently(entries, concurrency, (entry) =>
    auditEntry(open, admin, entry, target.url),
  )) {
    findings.push(...found);
    context.signal.throwIfAborted();
  }
  return findings;
}

async function auditEntry(
  open: OpenLink,
  admin: WebhookAdmin,
  entry: JournalEntry,
  url: string,
): Promise<readonly Finding[]> {
  const { name } = open.link;
  const finding = toFindingOf(name, entry.label);
  let hooks: readonly InspectedWebhook[];
  try {
    hooks = await inspect(open, admin, toPlace(entry), new Set(entry.hookId === null ? [] : [entry.hookId]));
  } catch (error) {
    assertTellable(error);
    // A host that does not answer is told once, for the whole link.
    if (error.code === 'unreachable' || error.code === 'rateLimited') throw error;
    const evidence = `its webhooks cannot be seen: ${describeFault(error)}`;
    return [finding('warning', 'webhook-hidden', evidence, `gitlink show ${name}`)];
  }
  const repair = `gitlink regenerate-webhooks ${name} --repair`;
  const own = hooks.find(({ id }) => id === entry.hookId);
  const same = hooks.filter((hook) => hook.url === url);
  const twins = same.filter(({ id }) => id !== own?.id);
  return [
    ...(own
      ? judgeHook(own, finding, repair, name)
      : [finding('error', 'webhook-missing', 'the hook that gitlink made is gone', repair)]),
    ...(own && entry.secretItem === null
      ? [finding('error', 'webhook-without-secret', 'gitlink knows no secret of the hook', regenerate(name))]
      : []),
    ...(own && twins.length > 0
      ? [
          finding(
            'warning',
            'webhook-duplicated',
            `${twins.length + 1} hooks deliver to the same address (${same.map(({ id }) => id).join(', ')})`,
            repair,
          ),
        ]
      : []),
  ];
}

/** What the adapter's list does not tell is unknown. */
async function inspect(
  { access, link }: OpenLink,
  admin: WebhookAdmin,
  place: WebhookPlace,
  ownIds: ReadonlySet<string>,
): Promise<readonly InspectedWebhook[]> {
  const support = auditSupports[link.provider];
  if (support?.inspectWebhooks) return support.inspectWebhooks(access, place, ownIds);
  const hooks = await admin.list(access, place);
  return hooks.map((hook) => ({ ...hook, checksCertificate: null, hasSecret: null, failure: null }));
}

function judgeHook(hook: InspectedWebhook, finding: ToFinding, repair: string, name: string): Finding[] {
  if (!hook.active)
    return [
      finding('error', 'webhook-disabled', 'the hook is switched off, by a person or by its host', repair),
    ];
  return [
    ...(hook.failure === null
      ? []
      : // The receiver may be well again: a test tells, and nothing is wrong with the secret.
        [finding('error', 'webhook-failing', hook.failure, `${repair} --verify`)]),
    ...(hook.hasSecret === false
      ? [finding('error', 'webhook-without-secret', 'the host has no secret for the hook', regenerate(name))]
      : []),
    ...(hook.checksCertificate === false
      ? [
          finding(
            'warning',
            'webhook-without-tls-check',
            "the host does not check the receiver's certificate",
            repair,
          ),
        ]
      : []),
  ];
}

function toFindingOf(link: string, subject: string): ToFinding {
  return (severity, code, evidence, fix) => ({ severity, code, link, subject, evidence, fix });
}

function regenerate(link: string): string {
  return `gitlink regenerate-webhooks ${link}`;
}
