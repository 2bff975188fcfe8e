import { findAppWebhook } from '../../operations/apps/open-app.ts';
import { findClientOf } from '../../operations/client-identity.ts';
import { judgeScopes, toUsualCapabilities } from '../../operations/judge-scopes.ts';
import { describeLinks } from '../../operations/describe-links.ts';
import { findNextStep } from '../../operations/next-step.ts';
import { findOwnWebhooks } from '../../operations/remove-webhooks.ts';
import type { LinkDocument } from '../../operations/link-document.ts';
import { describeUnfinishedRun } from '../../operations/unfinished-run.ts';
import { toPrintable } from '../../printable.ts';
import { getProvider } from '../../providers/registry.ts';
import { readLastUsage } from '../../store/usage-log.ts';
import { describeAccess, describeAccount, describeState } from '../link-view.ts';
import { createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';
import type { LinkRecord } from '../../store/link-schema.ts';

export function registerShow(cli: Cli): void {
  createCommand(cli, 'show', 'Everything about one link', [
    ['gitlink show gitea', 'account, scopes, restriction, webhooks, where the secret lies'],
    ['gitlink show gitea --json', 'the same for scripts'],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .action((name: string | undefined) =>
      cli.run('show', async (session) => {
        const link = await session.chooseLink(name);
        const [document] = describeLinks(session.context, [link]);
        session.output.document({ link: document });
        printFacts(session, listFacts(session, link));
      }),
    );
}

type Fact = readonly [name: string, value: string];

function listFacts({ context }: Session, link: LinkRecord): readonly Fact[] {
  const [document] = describeLinks(context, [link]);
  if (!document) return [];
  const provider = getProvider(link.provider);
  const judgement =
    provider &&
    judgeScopes(provider, link.scopes, toUsualCapabilities(link.credentialKind), link.credentialKind);
  const usage = readLastUsage(context.directories.state).get(link.id);
  const missing = judgement?.missing.map(({ scope }) => scope) ?? [];
  const nextStep = findNextStep({ ...link, status: document.status });
  return [
    ['name', document.name],
    ['provider', `${document.flavour}${link.hostVersion === null ? '' : ` ${link.hostVersion}`}`],
    ['host', document.host],
    ...(document.organization === null ? [] : [['organization', document.organization] as const]),
    ['account', `${describeAccount(document)}${describeAccountId(document)}`],
    ['method', `${document.method} (${link.credentialKind})`],
    ...listClientFacts(context, link),
    ['state', describeState(document)],
    ...(nextStep === null ? [] : [['next step', nextStep] as const]),
    ['checked', document.checkedAt ?? 'never'],
    ['expires', document.expiresAt ?? 'never'],
    ['scopes', link.scopes === null ? 'the host does not tell' : link.scopes.join(', ') || 'none'],
    ...(missing.length > 0 ? [['scopes missing', missing.join(', ')] as const] : []),
    ...(judgement && judgement.excess.length > 0
      ? [['scopes in excess', judgement.excess.join(', ')] as const]
      : []),
    ['access', describeAccess(document)],
    [
      'enforced by',
      document.enforcement === 'local' ? 'gitlink (the token itself reaches further)' : document.enforcement,
    ],
    ...listWebhookFacts(context, link),
    ['secret in', document.storage],
    ['created', document.createdAt],
    [
      'last used',
      usage
        ? `${document.lastUsedAt ?? ''} by ${usage.by}${usage.path === null ? '' : ` for ${usage.path}`}`
        : 'never',
    ],
  ];
}

function describeAccountId({ account: { id, kind } }: LinkDocument): string {
  if (id === null) return '';
  return kind === 'installation' ? ` (installation ${id})` : ` (id ${id})`;
}

function listClientFacts({ links }: Session['context'], link: LinkRecord): Fact[] {
  const client = findClientOf(links.read(), link);
  if (client === null) return [];
  return [
    ...(client.app === null ? [] : [['app', `${client.app.slug} (${client.app.pageUrl})`] as const]),
    ['client', client.clientId],
  ];
}

function listWebhookFacts(context: Session['context'], link: LinkRecord): Fact[] {
  const { webhook } = link;
  if (webhook === null) return listAppWebhookFacts(context, link);
  const hooks = findOwnWebhooks(context, link);
  const unfinished = describeUnfinishedRun(context, link);
  return [
    ['webhooks', `${hooks.length} to ${webhook.url}`],
    ['webhook events', webhook.events.join(', ')],
    [
      'webhook secret',
      webhook.regeneratedAt === null
        ? 'never regenerated'
        : `of ${new Date(webhook.regeneratedAt).toISOString()}`,
    ],
    ...(unfinished === null
      ? []
      : [
          [
            'unfinished run',
            `${unfinished}; continue with: gitlink regenerate-webhooks ${link.name}`,
          ] as const,
        ]),
  ];
}

function listAppWebhookFacts(context: Session['context'], link: LinkRecord): Fact[] {
  const webhook = findAppWebhook(context.links.read(), link);
  if (webhook === null) return [['webhooks', 'none']];
  const regeneratedAt =
    webhook.regeneratedAt === null ? 'unknown' : new Date(webhook.regeneratedAt).toISOString();
  return [
    ['webhooks', `that of the App, to ${webhook.url}`],
    ['webhook events', webhook.events.join(', ')],
    ['webhook secret', `of ${regeneratedAt}`],
    ...(webhook.nextSecretItem === null
      ? []
      : [['unfinished run', `continue with: gitlink regenerate-webhooks ${link.name}`] as const]),
  ];
}

function printFacts({ output, styles }: Session, facts: readonly Fact[]): void {
  const width = Math.max(...facts.map(([name]) => name.length));
  for (const [name, value] of facts) {
    const label = output.isTerminal ? styles.faint(name.padEnd(width + 2)) : `${name}\t`;
    output.data(`${label}${toPrintable(value, output.isTerminal ? undefined : Infinity)}`);
  }
}
