import { isLoopbackHost, toDisplayHost } from '../../http/base-url.ts';
import { getProvider } from '../../providers/registry.ts';
import type { LinkRecord, Records } from '../../store/link-schema.ts';
import type { UsageEntry } from '../../store/usage-log.ts';
import type { Capability } from '../../providers/provider.ts';
import { capabilityWords, judgeScopes } from '../judge-scopes.ts';
import { toLinkDocument } from '../link-document.ts';
import { findNextStep } from '../next-step.ts';
import { findCredentialPage } from '../revoke-credential.ts';
import { isGitOnly } from '../verify-git-credential.ts';
import { judgeEnd, judgeUse, type Finding, type Severity } from './finding.ts';

/** What is known of a link without asking more than whether it works. */
export function auditLink(
  link: LinkRecord,
  { passphraseFile }: Pick<Records, 'passphraseFile'>,
  usage: UsageEntry | undefined,
  now: number,
): readonly Finding[] {
  const finding = toFindingOf(link);
  const state = judgeState(link, now, finding);
  if (state !== null) return [state];
  return [
    ...judgeExpiry(link, now, finding),
    ...judgeLinkScopes(link, finding),
    ...judgeReach(link, usage, now, finding),
    ...judgeKeeping(link, passphraseFile, finding),
  ];
}

export type ToFinding = (severity: Severity, code: string, evidence: string, fix: string) => Finding;

/** Findings about the link itself. */
export function toFindingOf(link: LinkRecord): ToFinding {
  const subject = `${link.account.login ?? link.account.kind} at ${toDisplayHost(link.host)}`;
  // A link that the environment brings along is not kept here, so that no command changes it.
  const settle = (fix: string): string => (link.storage === 'env' ? 'change the variables GITLINK_…' : fix);
  return (severity, code, evidence, fix) => ({
    severity,
    code,
    link: link.name,
    subject,
    evidence,
    fix: settle(fix),
  });
}

/** @returns null for a link that works: of any other nothing else is worth saying. */
function judgeState(link: LinkRecord, now: number, finding: ToFinding): Finding | null {
  const { statusReason } = link;
  const { status } = toLinkDocument(link, null, now);
  const reason = statusReason === null ? '' : ` (${statusReason})`;
  const fix = findNextStep({ ...link, status }) ?? 'gitlink doctor';
  switch (status) {
    case 'ok':
    case 'expiring':
    case 'unchecked':
      return null;
    case 'expired':
      return finding('error', 'expired', `the credential ended on ${toDay(link.expiresAt ?? now)}`, fix);
    case 'revoked':
      return finding('error', 'revoked', `the host refuses the credential${reason}`, fix);
    case 'secretMissing':
      return finding(
        'error',
        'secret-missing',
        `its secret is not in the ${link.storage === 'file' ? 'encrypted file' : link.storage} any more`,
        fix,
      );
    case 'insufficient': {
      // Single sign-on closes one organization; the rest still works.
      const severity = statusReason === 'sso' ? 'warning' : 'error';
      const evidence = `the host lets the credential in and refuses what it asks for${reason}`;
      return finding(severity, 'insufficient', evidence, fix);
    }
    case 'suspended':
      return finding('error', 'suspended', 'the installation is suspended', fix);
    case 'pending':
      return finding('warning', 'pending', `somebody at the host has yet to agree${reason}`, fix);
    case 'unlinking':
      return finding('warning', 'unlinking', 'it is being unlinked, and a step was left', fix);
    case 'unreachable':
      return finding(
        'warning',
        'unreachable',
        `its host does not answer${reason}, so nothing else is known`,
        fix,
      );
  }
}

function judgeExpiry(link: LinkRecord, now: number, finding: ToFinding): Finding[] {
  const { expiresAt } = link;
  const fix = sayHowToReplace(link);
  if (expiresAt !== null) {
    const end = judgeEnd(expiresAt, now);
    return end ? [finding(end.severity, 'expires-soon', `the credential ${end.evidence}`, fix)] : [];
  }
  // Sign-ins are renewed and Apps mint their tokens: only what a person keeps lives on forgotten.
  if (link.method !== 'token') return [];
  return [finding('info', 'never-expires', 'the token has no end, as far as its host tells', fix)];
}

/** What gives a link another credential: its host where that can, else a person. */
function sayHowToReplace(link: LinkRecord): string {
  const { name } = link;
  if (link.credentialOrigin === 'obtained' && link.method !== 'token') return `gitlink relink ${name}`;
  const provider = getProvider(link.provider);
  if (!provider || (provider.rotate && !isGitOnly(provider, link))) return `gitlink rotate ${name}`;
  return `make a new one (${findCredentialPage(provider, link)}), then: gitlink relink ${name}`;
}

function judgeLinkScopes(link: LinkRecord, finding: ToFinding): Finding[] {
  const provider = getProvider(link.provider);
  if (!provider) return [];
  const needed: Capability[] = link.webhook === null ? ['clone'] : ['clone', 'webhooks'];
  const lacking = judgeScopes(provider, link.scopes, needed, link.credentialKind)?.missing ?? [];
  // What any usual work would need is no excess.
  const usual: Capability[] = ['clone', 'push', 'webhooks'];
  const excess = judgeScopes(provider, link.scopes, usual, link.credentialKind)?.excess ?? [];
  const fix = `gitlink relink ${link.name} --for ${needed.join(',')}`;
  return [
    ...lacking.map(({ scope, neededFor }) => {
      const purpose = neededFor.map((capability) => capabilityWords[capability]).join(' and ');
      return finding('warning', 'scope-missing', `${scope} is missing, which it takes to ${purpose}`, fix);
    }),
    ...(excess.length === 0
      ? []
      : [
          finding('warning', 'scope-excess', `it may do more than any link needs: ${excess.join(', ')}`, fix),
        ]),
  ];
}

function judgeReach(
  link: LinkRecord,
  usage: UsageEntry | undefined,
  now: number,
  finding: ToFinding,
): Finding[] {
  const { name, restriction, account, webhook } = link;
  const { enforcement } = toLinkDocument(link, null, now);
  const isAutomated = webhook !== null || usage?.by === 'token' || usage?.by === 'exec';
  const unused = judgeUse(usage?.at ?? null, link.createdAt, now);
  return [
    ...(restriction.mode === 'unrestricted' && enforcement === 'none'
      ? [
          finding(
            'info',
            'unrestricted',
            'it may be used for all that the account reaches',
            `gitlink restrict ${name} NAMESPACE`,
          ),
        ]
      : []),
    ...(account.kind === 'user' && isAutomated
      ? [
          finding(
            'info',
            'personal-account',
            "programs work with a person's account, and stop when the person leaves",
            `gitlink relink ${name} --allow-account-change`,
          ),
        ]
      : []),
    ...(unused === null ? [] : [finding('warning', 'unused', unused, `gitlink unlink ${name}`)]),
  ];
}

function judgeKeeping(link: LinkRecord, passphraseFile: string | null, finding: ToFinding): Finding[] {
  const { host, name, storage, webhook } = link;
  const { protocol, hostname } = new URL(host);
  const isPlain = protocol === 'http:' && !isLoopbackHost(hostname);
  return [
    ...(storage === 'file' && passphraseFile !== null
      ? [
          finding(
            'warning',
            'weak-storage',
            `the encrypted file opens with ${passphraseFile}, which lies on the same disk`,
            `gitlink relink ${name} --store keychain`,
          ),
        ]
      : []),
    ...(isPlain
      ? [
          finding(
            'error',
            'plain-http',
            'everything to its host can be read on the way',
            `gitlink relink ${name} --host ${host.replace('http:', 'https:')}`,
          ),
        ]
      : []),
    ...(webhook !== null && isPlainHttp(webhook.url)
      ? [
          finding(
            'warning',
            'webhook-plain-http',
            `deliveries to ${hideQuery(webhook.url)} can be read on the way`,
            `gitlink regenerate-webhooks ${name} --url https://…`,
          ),
        ]
      : []),
  ];
}

function isPlainHttp(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !isLoopbackHost(hostname);
}

/** A receiver's address may hold a token in its query. */
function hideQuery(url: string): string {
  return url.replace(/\?.*$/, '?…');
}

function toDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** Clients that are registered and that no link uses. */
export function auditClients({ clients, links }: Records): readonly Finding[] {
  return clients
    .filter(({ id }) => !links.some(({ client }) => client === id))
    .map(({ clientId, host }) => ({
      severity: 'warning',
      code: 'client-unused',
      link: null,
      subject: `${clientId} at ${toDisplayHost(host)}`,
      evidence: 'the client is registered, and no link was signed in with it',
      fix: `gitlink client remove ${clientId}`,
    }));
}
