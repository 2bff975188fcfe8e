import { CancelledError, UsageError } from '../../errors.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import { isInstallation } from '../../operations/is-installation.ts';
import { resumeLink } from '../../operations/apps/installations.ts';
import { describeLinks } from '../../operations/describe-links.ts';
import { refreshQuietly } from '../../operations/list-repositories.ts';
import { assertFreeName, linkAccount } from '../../operations/link-account.ts';
import { recogniseHost, type HostQuestion, type RecognisedHost } from '../../operations/recognise-host.ts';
import {
  applyRestriction,
  listReachableNamespaces,
  prepareRestriction,
} from '../../operations/restrict-link.ts';
import { openVerified, type VerifiedCredential } from '../../operations/verify-credential.ts';
import { isGitOnly } from '../../operations/verify-git-credential.ts';
import type { RestrictionWish } from '../../operations/restriction.ts';
import type { Namespace } from '../../providers/provider.ts';
import { findProvider, providers } from '../../providers/registry.ts';
import type { LinkRecord, Storage } from '../../store/link-schema.ts';
import {
  addCredentialFlags,
  chooseExpiry,
  readCapabilities,
  readExpiry,
  type CredentialFlags,
} from '../credential-flags.ts';
import { offerGit } from '../git-setup.ts';
import { findRemoteHosts } from '../remote-hosts.ts';
import { collectList, createChoice, createCommand, type Cli } from '../program.ts';
import { chooseStorage, type Session } from '../session.ts';
import { recogniseWithConsent } from '../recognise-with-consent.ts';
import { signIn } from '../sign-in.ts';

interface LinkFlags extends CredentialFlags {
  readonly name?: string;
  readonly namespace?: readonly string[];
  readonly repo?: readonly string[];
  readonly webhookUrl?: string;
  readonly resume?: string | true;
  readonly store?: Storage;
  readonly setupGit?: boolean;
}

export function registerLink(cli: Cli): void {
  const command = createCommand(cli, 'link', 'Connect an account', [
    ['gitlink link github', 'makes a GitHub App of your own, in the browser'],
    ['gitlink link gitlab', 'asks for what is missing'],
    ['gitlink link gitea --host git.acme.dev', 'the same for an instance of your own'],
    ['gitlink link gitlab --method oauth --client-id 0c1d…', 'signs in with the browser'],
    ['gitlink link https://git.acme.dev/acme/site', 'finds out what is there'],
    ['gitlink link gitea --host git.acme.dev --with-token --namespace acme < token.txt', 'in a script'],
  ])
    .argument(
      '[provider|url]',
      'github, gitlab, bitbucket, bitbucket-dc, gitea, forgejo, codeberg, azure-devops, or any address of the host',
    )
    .option('--name <name>', 'what to call the link');
  addCredentialFlags(command)
    .option('--namespace <namespace>', 'limit the link to this namespace (repeatable)', collectList)
    .option('--repo <owner/name>', 'limit the link to this repository (repeatable)', collectList)
    .option('--webhook-url <url>', 'where webhooks of this link will deliver to')
    .option('--resume [link]', 'finish a link that waited for an owner')
    .addOption(createChoice('--store <store>', 'where to keep the secret', ['keychain', 'file']))
    .option('--setup-git', 'use this account for git')
    .option('--no-setup-git', 'leave git alone')
    .action((word: string | undefined, flags: LinkFlags) =>
      cli.run('link', (session) => link(session, word, flags), { passphraseFile: flags.passphraseFile }),
    );
}

async function link(session: Session, word: string | undefined, flags: LinkFlags): Promise<void> {
  if (flags.resume !== undefined) {
    if (word !== undefined)
      throw new UsageError('--resume finishes a link that exists, so no provider is named.');
    return resume(session, flags.resume === true ? undefined : flags.resume, flags);
  }
  const { context, output, reporter } = session;
  readCapabilities(flags.for);
  const expiresAt = readExpiry(flags.expires, context.clock.now());
  const records = context.links.read();
  if (flags.name !== undefined) assertFreeName(records, flags.name);
  const place = await choosePlace(session, word, flags);
  // Before anything is asked or opened: a credential that cannot be kept shall not be made.
  const storage = await chooseStorage(session, flags.store);
  await (await context.openVault(storage)).check();

  const isKnown = records.links.some(
    ({ host }) => host === place.address || toDisplayHost(host) === place.address,
  );
  const question = {
    ...place,
    organization: flags.organization ?? null,
    caFile: flags.caFile ?? null,
    allowHttp: flags.allowHttp === true,
  };
  const found = await recogniseWithConsent(session, question, isKnown);
  const recognised = await askOrganization(session, question, found);
  const commandLine = toCommandLine(recognised);
  const wish = {
    flags,
    storage,
    commandLine,
    repositories: flags.repo ?? [],
    namespaces: flags.namespace ?? [],
    usualMethod: null,
    usualClient: null,
    webhookUrl: flags.webhookUrl ?? null,
  };
  const made = await signIn(session, recognised, wish, async (signedIn) => {
    const { verified, method, origin } = signedIn;
    warnAboutTwin(session, verified, records.links);
    // A browser that waits for its success page is not kept waiting for answers.
    const canChoose = method === 'token' && !isGitOnly(verified.provider, verified.identity);
    const restriction = canChoose
      ? await chooseRestriction(session, verified, flags)
      : readRestriction(flags);
    return linkAccount(context, {
      verified,
      name: flags.name ?? null,
      method,
      origin,
      storage,
      restriction,
      expiresAt: await chooseExpiry(session, verified.identity, expiresAt),
      // An app that was made with a webhook has it at its own level.
      webhookUrl: verified.client?.record?.app?.webhook ? null : (flags.webhookUrl ?? null),
      caFile: flags.caFile ?? null,
      allowHttp: flags.allowHttp === true,
      passphraseFile: flags.passphraseFile ?? null,
    });
  });
  reporter.note(
    `Linked ${made.account.login ?? 'an unknown account'} at ${toDisplayHost(made.host)} as "${made.name}" (secret in the ${storage}).`,
  );
  if (made.status === 'pending' && made.account.id === null) {
    reporter.note(`To finish it then: gitlink link --resume ${made.name}`);
    output.document({ link: describeLinks(context, [made])[0] });
    return;
  }
  const wasSignedIn = made.method === 'oauth' || made.method === 'device';
  const limited = wasSignedIn ? await offerRestriction(session, made, flags) : made;
  if (limited === made) await refreshQuietly(context, made);
  await offerGit(session, limited, flags.setupGit);
  output.document({ link: describeLinks(context, [limited])[0] });
}

/** Finishes a link that waited for an owner of the account. */
async function resume(session: Session, name: string | undefined, flags: LinkFlags): Promise<void> {
  const { context, output, reporter } = session;
  const waiting = context.links.read().links.filter(({ status }) => status === 'pending');
  const [only, ...others] = waiting;
  const link = name === undefined && only && others.length === 0 ? only : await session.chooseLink(name);
  if (!isInstallation(link) || link.account.id !== null) {
    reporter.note(`"${link.name}" waits for nobody. To ask the host how it is: gitlink list --check`);
    output.document({ link: describeLinks(context, [link])[0] });
    return;
  }
  const resumed = await resumeLink(context, link);
  reporter.note(
    `The App is installed on ${resumed.account.login ?? 'the account'}: "${resumed.name}" can be used.`,
  );
  await offerGit(session, resumed, flags.setupGit);
  output.document({ link: describeLinks(context, [resumed])[0] });
}

interface Place {
  readonly address: string;
  readonly provider: (typeof providers)[number] | null;
}

/** A provider's word, an address, or, in a terminal, what the repository's remotes suggest. */
async function choosePlace(session: Session, word: string | undefined, flags: LinkFlags): Promise<Place> {
  if (word === undefined && flags.host === undefined) {
    const answer = await askForHost(session, word);
    const isWord = findProvider(answer) !== null;
    return isWord ? choosePlace(session, answer, flags) : { address: answer, provider: null };
  }
  const choice = word === undefined ? null : findProvider(word);
  const isAddress = word !== undefined && choice === null && /[./:]/.test(word);
  if (word !== undefined && choice === null && !isAddress) throw toUnknownProviderError(word);
  if (isAddress) return { address: flags.host ?? word, provider: null };
  const address = flags.host ?? choice?.host ?? (await askForHost(session, word));
  return { address, provider: choice?.provider ?? null };
}

function toUnknownProviderError(word: string): UsageError {
  const words = providers.flatMap(({ id, aliases }) => [id, ...aliases.map((alias) => alias.word)]);
  const distances = words.map((each) => countEdits(word.toLowerCase(), each));
  const least = Math.min(...distances);
  const similar = words.filter((_each, index) => least <= 2 && distances[index] === least);
  const guess = similar.length === 0 ? '' : `Did you mean ${similar.join(' or ')}? `;
  return new UsageError(`There is no provider "${word}".`, {
    hint: `${guess}There are: ${words.join(', ')}; an address will do, too.`,
  });
}

/** How many letters are to be put in, taken out or replaced to make one word of another. */
function countEdits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_none, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, wanted] of [...to].entries()) {
      const replaced = (row[column] ?? 0) + (letter === wanted ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

async function askForHost(session: Session, word: string | undefined): Promise<string> {
  if (!session.prompter.canAsk) {
    throw new UsageError(
      word === undefined
        ? 'What to link is needed: a provider or an address.'
        : `Which ${word} is needed: it has no host of its own.`,
      { hint: `For example: gitlink link ${word ?? 'gitea'} --host git.acme.dev` },
    );
  }
  const [suggested] = await findRemoteHosts(session);
  const question =
    word === undefined
      ? 'Which provider or host? (such as github or git.acme.dev)'
      : 'Which host? (such as git.acme.dev)';
  return session.prompter.ask(question, '--host', suggested);
}

function warnAboutTwin(
  session: Session,
  { description, identity }: VerifiedCredential,
  links: readonly LinkRecord[],
): void {
  const twin = links.find(
    ({ host, account }) =>
      host === description.host && account.id !== null && account.id === identity.account.id,
  );
  if (twin) {
    session.reporter.warn(
      `"${twin.name}" is a link of the same account. Where both fit, git gets neither; to replace its credential instead: gitlink relink ${twin.name}`,
    );
  }
}

/** @returns null where no flag limits the link. */
function readRestriction({ namespace = [], repo = [] }: LinkFlags): RestrictionWish | null {
  return namespace.length + repo.length > 0 ? { namespaces: namespace, repositories: repo } : null;
}

/** In a terminal the namespaces are offered; without one, and by default, nothing is limited. */
async function chooseRestriction(
  session: Session,
  verified: VerifiedCredential,
  flags: LinkFlags,
): Promise<RestrictionWish | null> {
  const wish = readRestriction(flags);
  if (wish !== null || !(await wantsRestriction(session))) return wish;
  const access = await openVerified(session.context, verified, flags.caFile ?? null);
  const namespaces: Namespace[] = [];
  for await (const namespace of verified.provider.listNamespaces(access)) namespaces.push(namespace);
  if (namespaces.length === 0) {
    throw new CancelledError('The account reaches no namespace to choose from, so nothing was linked.', {
      hint: 'To limit the link to repositories, run it again with --repo OWNER/NAME',
    });
  }
  return { namespaces: await chooseNamespaces(session, namespaces), repositories: [] };
}

/** The same for a link that stands already, because a sign-in is kept as soon as it is there. */
async function offerRestriction(session: Session, link: LinkRecord, flags: LinkFlags): Promise<LinkRecord> {
  if (readRestriction(flags) !== null) return link;
  const { context, reporter } = session;
  try {
    if (!(await wantsRestriction(session))) return link;
    const reachable = await listReachableNamespaces(context, link);
    if (reachable.length === 0) {
      reporter.warn(
        `The account reaches no namespace to choose from, so nothing is limited. To limit it to repositories: gitlink restrict ${link.name} --repo OWNER/NAME`,
      );
      return link;
    }
    const wish = { namespaces: await chooseNamespaces(session, reachable), repositories: [] };
    return await applyRestriction(
      context,
      link,
      await prepareRestriction(context, link, { how: 'replace', wish }),
    );
  } catch (error) {
    if (error instanceof CancelledError) {
      reporter.warn(`"${link.name}" stays linked, for everything. To undo that: gitlink unlink ${link.name}`);
    }
    throw error;
  }
}

async function wantsRestriction({ prompter, saysYes }: Session): Promise<boolean> {
  if (!prompter.canAsk || saysYes) return false;
  return !(await prompter.confirm('May this link be used for everything that the account reaches?', true));
}

/** A host that serves many organizations is asked again about the one that is meant: each has its own sign-in. */
async function askOrganization(
  { context, prompter }: Session,
  question: HostQuestion,
  found: RecognisedHost,
): Promise<RecognisedHost> {
  // Undefined for hosts that have no such thing.
  if (found.description.organization !== null || !prompter.canAsk) return found;
  const organization = await prompter.ask(
    'Which organization (on a server: which collection)?',
    '--organization',
  );
  return recogniseHost(context, { ...question, provider: found.provider, organization: organization.trim() });
}

/** What a person types to come here again. */
function toCommandLine({ provider, description: { host, organization } }: RecognisedHost): string {
  const line = `gitlink link ${provider.id} --host ${host}`;
  if (!organization) return line;
  return `${line} --organization ${/^[\w.-]+$/.test(organization) ? organization : `"${organization}"`}`;
}

async function chooseNamespaces(
  { prompter, reporter }: Session,
  namespaces: readonly Namespace[],
): Promise<string[]> {
  const choices = namespaces.map(({ path, kind }) => ({ value: path, label: `${path}  (${kind})` }));
  const ifNone = 'Nothing is ticked yet. Tick at least one, or stop with Ctrl-C.';
  const chosen = await prompter.chooseMany('Limit it to', choices, { chosen: [], ifNone });
  reporter.note(`Limited to ${chosen.join(', ')}.`);
  return chosen;
}
