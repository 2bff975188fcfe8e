import { AuthError, ForbiddenError, NotFoundError } from '../../errors.ts';
import type { Installation, InstallationRequest } from '../../providers/app-support.ts';
import { installationKind, type Provider } from '../../providers/provider.ts';
import type { HostDescription } from '../../providers/provider.ts';
import type { LinkRecord, Records } from '../../store/link-schema.ts';
import { updateLink } from '../change-link.ts';
import type { OperationContext } from '../context.ts';
import { getLink } from '../find-link.ts';
import { isInstallation } from '../is-installation.ts';
import { toMintedCredential } from '../stored-credential.ts';
import type { VerifiedCredential } from '../verify-credential.ts';
import { openAppOf, type AppClient, type OpenApp } from './open-app.ts';

/** What is there before a person goes to the page where the app is installed. */
export interface KnownInstallations {
  readonly installations: readonly Installation[];
  readonly requests: readonly InstallationRequest[];
}

/** What came of the person's visit to that page. */
export type InstallationOutcome =
  | { readonly outcome: 'installed'; readonly installation: Installation }
  /** An owner has to approve it first. */
  | { readonly outcome: 'requested'; readonly login: string };

const pollMs = 3_000;

export async function listKnownInstallations({ support, access }: OpenApp): Promise<KnownInstallations> {
  const [installations, requests] = await Promise.all([
    support.listInstallations(access),
    support.listRequests(access),
  ]);
  return { installations, requests };
}

/** Installations of an app that no link is of yet. */
export function selectUnlinked(
  records: Records,
  client: AppClient,
  installations: readonly Installation[],
): readonly Installation[] {
  const linked = new Set(
    records.links
      .filter((link) => link.client === client.id && isInstallation(link))
      .map(({ account }) => account.id),
  );
  return installations.filter(({ id }) => !linked.has(id));
}

/** @throws NotFoundError when the app has no such installation. */
export async function findInstallation(
  { support, access, client }: OpenApp,
  id: string,
): Promise<Installation> {
  const found = /^\d+$/.test(id) ? await support.findInstallation(access, id) : null;
  if (found) return found;
  throw new NotFoundError(`The App ${client.app.slug} has no installation ${id} at ${access.host}.`, {
    hint: `The number is at the end of the installation's address. To install it: ${support.installPage(client.app.pageUrl)}`,
  });
}

/**
 * Waits until the app is installed somewhere, or somebody has asked an owner for it. The page does not come back to
 * this machine, because that address would be the App's for ever; so the host is asked.
 *
 * @param before - What was there when the person was sent to the page.
 * @throws AuthError when the time is over.
 */
export async function waitForInstallation(
  context: Pick<OperationContext, 'clock' | 'signal'>,
  app: OpenApp,
  before: KnownInstallations,
  timeoutMs: number,
): Promise<InstallationOutcome> {
  const known = new Set(before.installations.map(({ id }) => id));
  const asked = new Set(before.requests.map(({ login }) => login));
  const giveUpAt = context.clock.monotonic() + timeoutMs;
  while (context.clock.monotonic() < giveUpAt) {
    const { installations, requests } = await listKnownInstallations(app);
    const installation = installations.find(({ id }) => !known.has(id));
    if (installation) return { outcome: 'installed', installation };
    const request = requests.find(({ login }) => !asked.has(login));
    if (request) return { outcome: 'requested', login: request.login };
    await context.clock.sleep(pollMs, context.signal);
  }
  throw new AuthError(`The App ${app.client.app.slug} was not installed in time.`, {
    hint: `It is kept. Install it at ${app.support.installPage(app.client.app.pageUrl)}, then run the command again.`,
  });
}

/**
 * Takes an installation for a link: mints its first token, so that what cannot work is found now.
 *
 * @throws ForbiddenError when it is suspended.
 */
export async function verifyInstallation(
  context: OperationContext,
  { provider, description }: { readonly provider: Provider; readonly description: HostDescription },
  { support, access, client }: OpenApp,
  installation: Installation,
): Promise<VerifiedCredential> {
  assertActive(client, installation);
  context.reporter.status('Minting a first token…');
  const { token, expiresAt } = await support.mint(access, installation.id, {
    repository: null,
    permissions: null,
  });
  const kept = { repository: null, token, expiresAt };
  return {
    provider,
    description,
    credential: toMintedCredential(installationKind, [kept]),
    client: {
      identity: { id: client.clientId, secret: null },
      record: client,
      callbackPort: client.callbackPort,
    },
    identity: {
      account: toAccount(installation),
      credentialKind: installationKind,
      scopes: installation.permissions,
      expiresAt: null,
    },
  };
}

/** The credential of a link that waits for an owner: nothing yet. */
export function toPendingCredential(
  { provider, description }: { readonly provider: Provider; readonly description: HostDescription },
  client: AppClient,
  login: string,
): VerifiedCredential {
  return {
    provider,
    description,
    credential: toMintedCredential(installationKind, []),
    client: {
      identity: { id: client.clientId, secret: null },
      record: client,
      callbackPort: client.callbackPort,
    },
    identity: {
      account: { login, kind: 'installation', id: null },
      credentialKind: installationKind,
      scopes: null,
      expiresAt: null,
      hindrance: {
        status: 'pending',
        reason: 'approval',
        explanation: `The link can be used once an owner of ${login} has installed the App.`,
        pageUrl: null,
      },
    },
  };
}

/** What the host says of a link's installation; kept by whoever asked. */
export type InstallationFinding =
  | { readonly outcome: 'there'; readonly installation: Installation }
  | { readonly outcome: 'pending' }
  | { readonly outcome: 'gone' };

/** Looks for the installation of a link; one that waited for an owner is found by its account. */
export async function lookForInstallation(
  context: OperationContext,
  link: LinkRecord,
  signal?: AbortSignal,
): Promise<InstallationFinding> {
  const app = await openAppOf(context, link, signal);
  const { id, login } = link.account;
  if (id !== null) {
    const installation = await app.support.findInstallation(app.access, id);
    return installation === null ? { outcome: 'gone' } : { outcome: 'there', installation };
  }
  const installations = await app.support.listInstallations(app.access);
  const wanted = selectUnlinked(context.links.read(), app.client, installations).find(
    (each) => each.login.toLowerCase() === login?.toLowerCase(),
  );
  return wanted ? { outcome: 'there', installation: wanted } : { outcome: 'pending' };
}

/**
 * Finishes a link that waited for an owner.
 *
 * @throws ForbiddenError while nobody has approved it.
 */
export async function resumeLink(context: OperationContext, link: LinkRecord): Promise<LinkRecord> {
  const finding = await lookForInstallation(context, link);
  if (finding.outcome !== 'there') {
    throw new ForbiddenError(
      `No owner of ${link.account.login ?? 'the account'} has installed the App yet.`,
      {
        hint: `Ask one of them. When it is done: gitlink link --resume ${link.name}`,
      },
    );
  }
  await updateLink(context, link.id, (current) =>
    withInstallation(current, finding.installation, context.clock.now()),
  );
  return getLink(context.links.read(), link.id);
}

/** A link with what the host says of its installation now. */
export function withInstallation(
  link: LinkRecord,
  installation: Installation,
  checkedAt: number,
): LinkRecord {
  return {
    ...link,
    account: toAccount(installation),
    scopes: [...installation.permissions],
    status: installation.isSuspended ? 'suspended' : 'ok',
    statusReason: null,
    checkedAt,
  };
}

/** The account of a link to an installation. */
export function toAccount({ id, login }: Installation): LinkRecord['account'] {
  return { login, kind: 'installation', id };
}

function assertActive(client: AppClient, { isSuspended, login, pageUrl }: Installation): void {
  if (!isSuspended) return;
  throw new ForbiddenError(`The App ${client.app.slug} is suspended on ${login}.`, {
    hint: `An owner lifts that at ${pageUrl}`,
  });
}
