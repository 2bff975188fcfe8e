import { UsageError } from '../../errors.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import type { AppClient } from '../../operations/apps/open-app.ts';
import { requireOAuth } from '../../operations/client-identity.ts';
import { deleteRegistration, findClient, keepClient, removeClient } from '../../operations/clients.ts';
import type { RecognisedHost } from '../../operations/recognise-host.ts';
import { findProvider, getProvider } from '../../providers/registry.ts';
import type { ClientRecord, Storage } from '../../store/link-schema.ts';
import { addGivenApp, createApp, toAppWebhook } from '../app-sign-in.ts';
import { describeRegistration, registerByHand, registerByToken } from '../choose-client.ts';
import { noTokenAdvice, readGivenSecret, toAbsolutePath, toPort } from '../credential-flags.ts';
import { collectList, createChoice, createCommand, type Cli } from '../program.ts';
import { assertConfirmed, chooseStorage, type Session } from '../session.ts';
import { recogniseWithConsent } from '../recognise-with-consent.ts';
import { printTable, type Column } from '../table.ts';

interface ClientCommandFlags {
  readonly host?: string;
  readonly clientId?: string;
  readonly appId?: string;
  readonly appKeyFile?: string;
  readonly for?: readonly string[];
  readonly org?: string;
  readonly public?: boolean;
  readonly webhookUrl?: string;
  readonly events?: readonly string[];
  readonly withSecret?: boolean;
  readonly clientSecretFile?: string;
  readonly clientSecretEnv?: string;
  readonly withToken?: boolean;
  readonly tokenFile?: string;
  readonly tokenEnv?: string;
  readonly name?: string;
  readonly callbackPort?: number;
  readonly atHost?: boolean;
  readonly store?: Storage;
  readonly caFile?: string;
  readonly allowHttp?: boolean;
  readonly passphraseFile?: string;
}

/** A client as `--json` shows it. */
interface ClientDocument {
  readonly clientId: string;
  readonly provider: string;
  readonly host: string;
  readonly hasSecret: boolean;
  readonly isOwnRegistration: boolean;
  readonly app: {
    readonly id: string;
    readonly slug: string;
    readonly owner: string | null;
    readonly page: string;
  } | null;
  readonly createdAt: string;
  readonly links: readonly string[];
}

const columns: readonly Column<ClientDocument>[] = [
  { header: 'CLIENT ID', cell: ({ clientId }) => clientId, least: 20 },
  { header: 'PROVIDER', cell: ({ provider }) => provider },
  { header: 'HOST', cell: ({ host }) => toDisplayHost(host), least: 12 },
  { header: 'APP', cell: ({ app }) => app?.slug ?? '' },
  { header: 'SECRET', cell: ({ hasSecret }) => (hasSecret ? 'stored' : 'none') },
  { header: 'LINKS', cell: ({ links }) => links.join(', ') || 'none', least: 8 },
];

export function registerClient(cli: Cli): void {
  createCommand(cli, 'client', 'OAuth clients, which signing in with a browser needs', [
    ['gitlink client add gitlab --client-id 0c1d…', 'one that you registered on the page of the host'],
    ['gitlink client create gitea --host git.acme.dev', 'has the host register one, with a token used once'],
    ['gitlink client create github --org acme', 'a GitHub App, by one click in the browser'],
    ['gitlink client add github --app-id 1234 --app-key-file acme.pem', 'a GitHub App that you have'],
    ['gitlink client list', 'all of them'],
    ['gitlink client remove git.acme.dev --at-host', 'also ends every sign-in that was made with it'],
  ])
    .argument('<action>', 'add, create, list or remove')
    .argument('[provider|client]', 'a provider or address for add and create; a client id or host for remove')
    .option('--host <host>', 'the instance, such as git.acme.dev or https://acme.dev/gitea')
    .option('--client-id <id>', 'what the host calls the client (Application ID)')
    .option('--app-id <id>', 'add a GitHub App: the number on its settings page')
    .option('--app-key-file <file>', 'its private key (PEM)')
    .option('--org <name>', 'create a GitHub App for this organization')
    .option('--for <what>', 'what the new App is for (default clone,push,webhooks)', collectList)
    .option('--public', 'let other accounts install the new App, too')
    .option('--webhook-url <url>', 'where the new App delivers to')
    .option(
      '--events <events>',
      'what it tells about: push, tag, pull-request, comment, release',
      collectList,
    )
    .option('--with-secret', "read the client's secret from standard input")
    .option('--client-secret-file <file>', 'read it from a file')
    .option('--client-secret-env <variable>', 'read it from an environment variable')
    .option('--with-token', 'read a token that may register or delete clients from standard input')
    .option('--token-file <file>', 'read it from a file')
    .option('--token-env <variable>', 'read it from an environment variable')
    .option('--name <name>', 'what the host shall call a new client (default gitlink)')
    .option('--callback-port <port>', 'the port of its redirect, where the host compares it', toPort)
    .option('--at-host', 'with remove: delete the registration at the host, too')
    .addOption(createChoice('--store <store>', 'where to keep the secret', ['keychain', 'file']))
    .option('--ca-file <file>', 'trust the authorities in this PEM file, too', toAbsolutePath)
    .option('--allow-http', 'accept a host without TLS: everything can be read on the way')
    .option('--passphrase-file <file>', 'where the passphrase of the encrypted file stands', toAbsolutePath)
    .action((action: string, word: string | undefined, flags: ClientCommandFlags) =>
      cli.run('client', (session) => run(session, action, word, flags), {
        passphraseFile: flags.passphraseFile,
      }),
    );
}

function run(
  session: Session,
  action: string,
  word: string | undefined,
  flags: ClientCommandFlags,
): Promise<void> {
  if (action === 'list') return Promise.resolve(list(session));
  if (action === 'add') return add(session, word, flags);
  if (action === 'create') return create(session, word, flags);
  if (action === 'remove') return remove(session, word, flags);
  throw new UsageError(`"${action}" is not add, create, list or remove.`, {
    hint: 'See: gitlink client --help',
  });
}

function list(session: Session): void {
  const { context, output, styles } = session;
  const { clients } = context.links.read();
  const documents = clients.map((client) => toDocument(session, client));
  output.document({ clients: documents });
  printTable(output, styles, columns, documents);
  if (documents.length === 0) {
    session.reporter.note('There are no clients. Add one with: gitlink client add PROVIDER --client-id ID');
  }
}

async function add(session: Session, word: string | undefined, flags: ClientCommandFlags): Promise<void> {
  const storage = await chooseStorage(session, flags.store);
  const recognised = await recognise(session, word, flags);
  const { provider, description } = recognised;
  if (flags.appId !== undefined || flags.appKeyFile !== undefined) {
    return reportApp(session, await addGivenApp(session, recognised, flags, storage), 'Added');
  }
  requireOAuth(provider);
  const { context, reporter } = session;
  const given = await readGivenSecret(session, 'client secret', {
    isPiped: flags.withSecret === true,
    file: flags.clientSecretFile,
    variable: flags.clientSecretEnv,
  });
  const { identity, callbackPort } =
    flags.clientId === undefined
      ? await registerByHand(session, recognised, flags)
      : { identity: { id: flags.clientId, secret: given }, callbackPort: flags.callbackPort ?? null };
  if (identity.secret !== null) await (await context.openVault(storage)).check();
  const { host } = description;
  const request = { provider: provider.id, host, identity, registrationId: null, callbackPort };
  report(session, await keepClient(context, storage, request), 'Added');
  reporter.note(`Sign in with: gitlink link ${provider.id} --host ${host}`);
}

async function create(session: Session, word: string | undefined, flags: ClientCommandFlags): Promise<void> {
  const { context, prompter, reporter } = session;
  const storage = await chooseStorage(session, flags.store);
  const recognised = await recognise(session, word, flags);
  const { provider, description } = recognised;
  await (await context.openVault(storage)).check();
  if (provider.apps) {
    const webhook = toAppWebhook(flags.webhookUrl, flags.events);
    const wish = { flags, storage, webhook };
    return reportApp(session, await createApp(session, recognised, wish), 'Registered');
  }
  requireOAuth(provider);
  const given = await readToken(session, flags);
  if (given === null && !prompter.canAsk) {
    throw new UsageError(
      'A token that may register clients is needed, and there is no terminal to ask for it in.',
      {
        hint: `Give it by --with-token. Or do it yourself. ${describeRegistration(recognised, flags.callbackPort ?? null)}`,
      },
    );
  }
  const token =
    given ??
    (await prompter.askSecret(
      'Paste a token that may register clients (used once, not kept)',
      '--with-token',
      noTokenAdvice,
    ));
  const record = await registerByToken(session, recognised, storage, {
    token,
    name: flags.name ?? 'gitlink',
    flags,
  });
  report(session, record, 'Registered');
  reporter.note(`Sign in with: gitlink link ${provider.id} --host ${description.host}`);
}

async function remove(session: Session, word: string | undefined, flags: ClientCommandFlags): Promise<void> {
  const { context, reporter, prompter } = session;
  const client = findClient(context.links.read(), word ?? null);
  const { clientId, host } = client;
  const users = toDocument(session, client).links;
  const isAtHost = flags.atHost === true;
  const effect = isAtHost ? ', and end every sign-in that was made with it' : '';
  await assertConfirmed(session, `Remove the client ${clientId} of ${toDisplayHost(host)}${effect}?`);
  if (isAtHost) {
    const given = await readToken(session, flags);
    const token =
      given ??
      (await prompter.askSecret('Paste a token that may delete clients', '--with-token', noTokenAdvice));
    await deleteRegistration(context, client, { token, caFile: flags.caFile ?? null });
    reporter.note(`${toDisplayHost(host)} does not know ${clientId} any more.`);
    if (users.length > 0) {
      reporter.warn(
        `What was signed in with it is dead: ${users.join(', ')}. To remove: gitlink unlink ${users[0] ?? ''}`,
      );
    }
  }
  const document = toDocument(session, client);
  // With links the record stays: they name it until they are unlinked.
  if (users.length === 0 || !isAtHost) await removeClient(context, client);
  session.output.document({ client: document });
  if (users.length === 0) reporter.note(`Removed the client ${clientId}.`);
  const page = client.app && getProvider(client.provider)?.apps?.settingsPage(host, client.app);
  if (page) reporter.note(`The App stays at the host until you delete it at ${page}`);
}

async function recognise(
  session: Session,
  word: string | undefined,
  flags: ClientCommandFlags,
): Promise<RecognisedHost> {
  const choice = word === undefined ? null : findProvider(word);
  const address = flags.host ?? choice?.host ?? (choice === null ? word : undefined);
  if (address === undefined) {
    throw new UsageError('The provider and its host are needed.', {
      hint: 'For example: gitlink client add gitea --host git.acme.dev --client-id ID',
    });
  }
  const question = {
    address,
    provider: choice?.provider ?? null,
    organization: null,
    caFile: flags.caFile ?? null,
    allowHttp: flags.allowHttp === true,
  };
  return recogniseWithConsent(session, question, true);
}

function readToken(session: Session, flags: ClientCommandFlags): ReturnType<typeof readGivenSecret> {
  return readGivenSecret(session, 'token', {
    isPiped: flags.withToken === true,
    file: flags.tokenFile,
    variable: flags.tokenEnv,
  });
}

function report(session: Session, record: ClientRecord, what: string): void {
  const secret = record.secretItem === null ? '' : ` (secret in the ${record.storage})`;
  session.reporter.note(`${what} the client ${record.clientId} at ${toDisplayHost(record.host)}${secret}.`);
  session.output.document({ client: toDocument(session, record) });
}

function reportApp(session: Session, client: AppClient, what: string): void {
  const { slug, pageUrl } = client.app;
  session.reporter.note(`${what} the App ${slug} (${pageUrl}); its key is in the ${client.storage}.`);
  session.reporter.note(`Install and link it with: gitlink link ${client.provider} --host ${client.host}`);
  session.output.document({ client: toDocument(session, client) });
}

function toDocument({ context }: Session, client: ClientRecord): ClientDocument {
  const { clientId, provider, host, secretItem, registrationId, createdAt, app } = client;
  return {
    clientId,
    provider,
    host,
    hasSecret: secretItem !== null,
    isOwnRegistration: registrationId !== null,
    app: app && { id: app.id, slug: app.slug, owner: app.owner, page: app.pageUrl },
    createdAt: new Date(createdAt).toISOString(),
    links: context.links
      .read()
      .links.filter((link) => link.client === client.id)
      .map(({ name }) => name),
  };
}
