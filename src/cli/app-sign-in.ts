import { CancelledError, ForbiddenError, UsageError } from '../errors.ts';
import { toDisplayHost } from '../http/base-url.ts';
import {
  findInstallation,
  listKnownInstallations,
  selectUnlinked,
  toPendingCredential,
  verifyInstallation,
  waitForInstallation,
  type InstallationOutcome,
  type KnownInstallations,
} from '../operations/apps/installations.ts';
import { isApp, openApp, requireApps, type AppClient, type OpenApp } from '../operations/apps/open-app.ts';
import { addApp, registerApp } from '../operations/apps/register-app.ts';
import { toUsualCapabilities } from '../operations/judge-scopes.ts';
import { listClientsOf } from '../operations/clients.ts';
import type { RecognisedHost } from '../operations/recognise-host.ts';
import type { VerifiedCredential } from '../operations/verify-credential.ts';
import { defaultEvents } from '../operations/webhook-target.ts';
import { installationKind } from '../providers/provider.ts';
import type { Installation } from '../providers/app-support.ts';
import type { Storage } from '../store/link-schema.ts';
import { readCapabilities, readGivenSecret, readKeyFile, type CredentialFlags } from './credential-flags.ts';
import { findObstacle, openInBrowser, openPage } from './open-page.ts';
import type { Session } from './session.ts';

/** What is wanted of an app's sign-in. */
export interface AppSignInWish {
  readonly flags: CredentialFlags;
  /** Where the secrets of a new app are kept. */
  readonly storage: Storage;
  /** The webhook that a new app shall have; null for none. */
  readonly webhook: { readonly url: string; readonly events: readonly string[] } | null;
  /** The app of a link that is linked again, by its id in the records. */
  readonly usualClient: string | null;
  /** The accounts that the link is meant for, which choose between several installations; empty for any. */
  readonly namespaces: readonly string[];
}

/** An installed app needs a person's clicks at two pages. */
const timeoutMs = 15 * 60_000;

/**
 * Finds the app and its installation that a link shall be of: those that are named, those that exist, else new ones,
 * which a person makes with a click each.
 *
 * @returns a credential of the installation, or one that waits for an owner.
 * @throws UsageError where a person would be needed and there is none.
 */
export async function signInAsApp(
  session: Session,
  recognised: RecognisedHost,
  wish: AppSignInWish,
): Promise<VerifiedCredential> {
  const { context, reporter } = session;
  const { provider, description } = recognised;
  const caFile = wish.flags.caFile ?? null;
  const known = await findApp(session, recognised, wish);
  const client = known ?? (await createApp(session, recognised, wish));
  const app = await openApp(context, provider, description, client, caFile);
  const before: KnownInstallations =
    known === null ? { installations: [], requests: [] } : await listKnownInstallations(app);
  const chosen = await chooseInstallation(session, app, before, wish);
  const outcome = chosen ?? (await install(session, app, before, { wish, isOpen: known === null }));
  if (outcome.outcome === 'requested') {
    reporter.note(`An owner of ${outcome.login} has been asked to install the App.`);
    return toPendingCredential(recognised, client, outcome.login);
  }
  const isNew = chosen === null && wish.usualClient !== client.id;
  if (isNew) await confirmAccount(session, app, outcome.installation, wish);
  const { login, isSelective } = outcome.installation;
  reporter.note(
    `The App ${client.app.slug} is installed on ${login}, for ${isSelective ? 'the repositories that were chosen there' : 'all repositories'}.`,
  );
  return verifyInstallation(context, recognised, app, outcome.installation);
}

/** Somebody else may have installed an App that is open to all, while this person was asked to. */
async function confirmAccount(
  session: Session,
  app: OpenApp,
  installation: Installation,
  wish: AppSignInWish,
): Promise<void> {
  try {
    assertMeant(app, installation, wish);
  } catch (error) {
    if (!session.prompter.canAsk) throw error;
    const isMeant = await session.prompter.confirm(
      `The App was installed on ${installation.login}. Link that account?`,
      true,
    );
    if (!isMeant) throw new CancelledError('Nothing was linked. The App stays where it is installed.');
  }
}

/** The app of the flags, of the link, or the only one of the host. */
async function findApp(
  session: Session,
  recognised: RecognisedHost,
  { flags, storage, usualClient }: AppSignInWish,
): Promise<AppClient | null> {
  const { context, prompter } = session;
  const { provider, description } = recognised;
  const apps = listClientsOf(context.links.read(), provider.id, description.host).filter(isApp);
  const own = apps.filter(({ id }) => id === usualClient);
  // A link that is linked again has an App, which a new key is for.
  const appId = flags.appId ?? (flags.appKeyFile === undefined ? undefined : own[0]?.app.id);
  if (flags.appKeyFile !== undefined && appId === undefined) {
    throw new UsageError('A key needs --app-id, too: the number on the settings page of the App.');
  }
  if (appId !== undefined) {
    const named = apps.find(({ app }) => app.id === appId);
    if (flags.appKeyFile !== undefined) return addGivenApp(session, recognised, { ...flags, appId }, storage);
    if (named) return named;
    throw new UsageError(`gitlink has no key of the App ${appId} at ${toDisplayHost(description.host)}.`, {
      hint: 'Add --app-key-file FILE',
    });
  }
  if (flags.public === true) return null;
  if (flags.org !== undefined)
    return apps.find(({ app }) => isSameAccount(app.owner ?? '', flags.org ?? '')) ?? null;
  const [only, ...others] = own.length > 0 ? own : apps;
  if (!only || others.length === 0) return only ?? null;
  if (!prompter.canAsk) {
    throw new UsageError(`There are several Apps for ${toDisplayHost(description.host)}.`, {
      hint: `Name one: ${apps.map(({ app }) => `--app-id ${app.id} (${app.slug})`).join(' or ')}`,
    });
  }
  const choices = apps.map(({ app }) => ({
    value: app.id,
    label: `${app.slug}  (${app.owner ?? 'owner unknown'})`,
  }));
  const chosen = await prompter.choose('Which App?', choices, '--app-id');
  return apps.find(({ app }) => app.id === chosen) ?? only;
}

/** Adds the app of `--app-id` and `--app-key-file`. */
export async function addGivenApp(
  session: Session,
  recognised: RecognisedHost,
  flags: Pick<CredentialFlags, 'appId' | 'appKeyFile' | 'clientSecretFile' | 'clientSecretEnv' | 'caFile'>,
  storage: Storage,
): Promise<AppClient> {
  const { appId: id = '', appKeyFile } = flags;
  if (!/^\d{1,20}$/.test(id))
    throw new UsageError('--app-id takes the number on the settings page of the App.');
  if (appKeyFile === undefined) throw new UsageError('An App needs its key, too: --app-key-file FILE');
  const key = await readKeyFile(appKeyFile);
  const clientSecret = await readGivenSecret(session, 'client secret', {
    isPiped: false,
    file: flags.clientSecretFile,
    variable: flags.clientSecretEnv,
  });
  return addApp(session.context, storage, recognised, {
    id,
    key,
    clientSecret,
    caFile: flags.caFile ?? null,
  });
}

/**
 * Has a person register an app with one click in their browser.
 *
 * @throws UsageError where no browser can be shown to anybody.
 */
export async function createApp(
  session: Session,
  recognised: RecognisedHost,
  { flags, storage, webhook }: Pick<AppSignInWish, 'flags' | 'storage' | 'webhook'>,
): Promise<AppClient> {
  const { context, reporter } = session;
  const { provider, description } = recognised;
  const { host } = description;
  requireApps(provider);
  if ((await findObstacle(session)) !== null || flags.browser === false) {
    throw new UsageError(`A new App is made with a browser on this machine, and none can be opened here.`, {
      hint: `With an App that you have: --app-id ID --app-key-file FILE --installation ID. With a token: gitlink link ${provider.id} --host ${host} --with-token < FILE. With a code: --method device --client-id ID`,
    });
  }
  const owner = flags.org ?? null;
  const whose = owner === null ? 'your own account' : `the organization ${owner}`;
  reporter.note(
    `gitlink makes a GitHub App for ${whose}: its key stays on this machine, and you choose what it reaches.`,
  );
  const client = await registerApp(
    context,
    storage,
    recognised,
    {
      organization: owner,
      isPublic: flags.public === true,
      capabilities: readCapabilities(flags.for, toUsualCapabilities(installationKind)),
      webhook,
      caFile: flags.caFile ?? null,
      timeoutMs: toTimeoutMs(flags),
    },
    {
      openBrowser: (url) => openInBrowser(session, url, host),
      onWaiting: ({ isOpened, startUrl }) => {
        reporter.note(
          isOpened
            ? `Your browser opens: press "Create GitHub App" at ${toDisplayHost(host)} there.`
            : `Open this address in a browser on this machine, and press "Create GitHub App": ${startUrl}`,
        );
        reporter.status('Waiting for your browser (Ctrl-C to stop)…');
      },
    },
  );
  reporter.note(`The App ${client.app.slug} is made; its key is in the ${client.storage}.`);
  return client;
}

/** @returns null where the app has to be installed first. */
async function chooseInstallation(
  session: Session,
  app: OpenApp,
  { installations }: KnownInstallations,
  { flags, usualClient, namespaces }: AppSignInWish,
): Promise<InstallationOutcome | null> {
  const { context, prompter, reporter } = session;
  const toOutcome = (installation: Installation): InstallationOutcome => ({
    outcome: 'installed',
    installation,
  });
  if (flags.installation !== undefined) return toOutcome(await findInstallation(app, flags.installation));
  const free =
    usualClient === app.client.id
      ? installations
      : selectUnlinked(context.links.read(), app.client, installations);
  const meant = free.filter(({ login }) => namespaces.some((name) => isSameAccount(name, login)));
  const unlinked = meant.length > 0 ? meant : free;
  const [only, ...others] = unlinked;
  if (!only) return null;
  if (!prompter.canAsk || session.saysYes) {
    if (others.length === 0) {
      // A link that is linked again knows its account itself.
      if (usualClient !== app.client.id) assertMeant(app, only, { flags, namespaces });
      return toOutcome(only);
    }
    throw new UsageError(`The App ${app.client.app.slug} is installed on several accounts.`, {
      hint: `Name one: ${unlinked.map(({ id, login }) => `--installation ${id} (${login})`).join(' or ')}`,
    });
  }
  reporter.note(`You have the App ${app.client.app.slug} already.`);
  const choices = [
    ...unlinked.map(({ id, login }) => ({ value: id, label: `Use it on ${login}, where it is installed` })),
    { value: '', label: 'Install it on another account' },
  ];
  const chosen = await prompter.choose('Which account?', choices, '--installation');
  const found = unlinked.find(({ id }) => id === chosen);
  return found ? toOutcome(found) : null;
}

/**
 * An App that anybody may install can be on accounts that nobody here meant: without a person to ask, those have to be
 * named.
 *
 * @throws UsageError
 */
function assertMeant(
  { client }: OpenApp,
  { id, login }: Installation,
  { flags, namespaces }: Pick<AppSignInWish, 'flags' | 'namespaces'>,
): void {
  const { owner, slug } = client.app;
  const isKnown = owner === null || isSameAccount(owner, login) || isSameAccount(flags.org ?? '', login);
  if (isKnown || namespaces.some((name) => isSameAccount(name, login))) return;
  throw new UsageError(`The App ${slug} of ${owner} is installed on ${login}, which was not asked for.`, {
    hint: `If that is the account to link: --installation ${id}`,
  });
}

function isSameAccount(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Sends the person to the page where the app is installed, and waits. */
async function install(
  session: Session,
  app: OpenApp,
  before: KnownInstallations,
  { wish, isOpen }: { readonly wish: AppSignInWish; readonly isOpen: boolean },
): Promise<InstallationOutcome> {
  const { context, reporter, prompter } = session;
  const page = app.support.installPage(app.client.app.pageUrl);
  const obstacle = await findObstacle(session);
  if (!isOpen && !prompter.canAsk && obstacle !== null) {
    throw new ForbiddenError(
      `The App ${app.client.app.slug} is not installed on any account that is not linked yet.`,
      {
        hint: `Install it at ${page}, then run the command again.`,
      },
    );
  }
  // After a registration the browser is there already.
  if (isOpen) reporter.note(`Choose the repositories there and press "Install" (${page}).`);
  else {
    reporter.note(explainInstalling(app, before));
    await openPage(session, page);
  }
  reporter.status('Waiting until the App is installed (Ctrl-C to stop)…');
  return waitForInstallation(context, app, before, toTimeoutMs(wish.flags));
}

/** Why a page opens. Whether an App may go on other accounts than its owner's is told by nobody but that page. */
function explainInstalling(
  { client: { app, provider } }: OpenApp,
  { installations }: KnownInstallations,
): string {
  if (installations.length === 0) {
    return `You have the App ${app.slug}, which is not installed yet: choose the repositories there and press "Install".`;
  }
  const owner = app.owner ?? 'its owner';
  return `You have the App ${app.slug}, and it is linked wherever it is installed. Install it on another account there; a private App goes on ${owner} alone. To make one for an organization: gitlink link ${provider} --org NAME`;
}

function toTimeoutMs({ timeout }: CredentialFlags): number {
  return timeout === undefined ? timeoutMs : timeout * 1000;
}

/** The webhook of a new app, from the flags; null for none. */
export function toAppWebhook(
  url: string | undefined,
  events: readonly string[] | undefined,
): AppSignInWish['webhook'] {
  return url === undefined ? null : { url, events: events ?? defaultEvents };
}
