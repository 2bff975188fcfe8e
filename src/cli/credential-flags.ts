import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { capabilityWords, toUsualCapabilities } from '../operations/judge-scopes.ts';
import type { SignInPlace } from '../providers/oauth-support.ts';
import type { Capability, Identity, Provider } from '../providers/provider.ts';
import { Secret } from '../secret.ts';
import { collectList, createChoice } from './program.ts';
import type { Session } from './session.ts';

/** The flags of `link` and `relink` that concern the credential. */
export interface CredentialFlags {
  readonly host?: string;
  readonly method?: string;
  readonly username?: string;
  readonly email?: string;
  readonly withToken?: boolean;
  readonly tokenFile?: string;
  readonly tokenEnv?: string;
  readonly clientId?: string;
  readonly clientSecretFile?: string;
  readonly clientSecretEnv?: string;
  readonly appId?: string;
  readonly appKeyFile?: string;
  readonly installation?: string;
  readonly org?: string;
  readonly public?: boolean;
  readonly organization?: string;
  readonly for?: readonly string[];
  readonly scope?: readonly string[];
  /** Commander's name for `--no-browser`. */
  readonly browser?: boolean;
  readonly callbackPort?: number;
  readonly timeout?: number;
  readonly expires?: string;
  readonly caFile?: string;
  readonly allowHttp?: boolean;
  readonly passphraseFile?: string;
}

const tokenLengthLimit = 16_384;
const capabilityNames = ['clone', 'push', 'webhooks', 'namespace-webhooks', 'admin'] as const;

export function addCredentialFlags(command: Command): Command {
  return command
    .option('--host <host>', 'the instance, such as git.acme.dev or https://acme.dev/gitea')
    .addOption(createChoice('--method <method>', 'how to sign in', ['token', 'oauth', 'device', 'app']))
    .option('--with-token', 'read the token from standard input')
    .option('--token-file <file>', 'read the token from a file')
    .option('--token-env <variable>', 'read the token from an environment variable')
    .option('--email <address>', 'the e-mail address of the account (Bitbucket API tokens)')
    .option(
      '--username <name>',
      'the user name of a token that serves git alone (GitLab deploy tokens, Azure git credentials)',
    )
    .option('--client-id <id>', 'the OAuth client to sign in with')
    .option('--client-secret-file <file>', 'read its secret from a file')
    .option('--client-secret-env <variable>', 'read its secret from an environment variable')
    .option('--app-id <id>', 'the number of a GitHub App that you have')
    .option('--app-key-file <file>', 'its private key (PEM)')
    .option('--installation <id>', 'the installation of the App to use')
    .option('--org <name>', 'a GitHub App of this organization: made where gitlink has none')
    .option('--public', 'let other accounts install the new App, too')
    .option('--organization <name>', "Azure DevOps: the organization, or the server's collection")
    .option('--no-browser', 'open no browser: show the address, and take what it ends at')
    .option('--callback-port <port>', 'the port that the client is registered with', toPort)
    .option('--timeout <seconds>', 'how long to wait for the browser (default 300)', toSeconds)
    .option(
      '--for <what>',
      `what it is for: ${capabilityNames.join(', ')} (default clone,webhooks)`,
      collectList,
    )
    .option('--scope <scope>', "ask for these scopes instead, in the host's words (repeatable)", collectList)
    .option('--expires <date>', 'when the token ends, where the host does not tell: 2027-03-31')
    .option('--ca-file <file>', 'trust the authorities in this PEM file, too', toAbsolutePath)
    .option('--allow-http', 'accept a host without TLS: everything can be read on the way')
    .option('--passphrase-file <file>', 'where the passphrase of the encrypted file stands', toAbsolutePath);
}

/** @throws UsageError */
export function toPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError('--callback-port takes a number from 1 to 65535.');
}

function toSeconds(text: string): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= 3_600) return seconds;
  throw new UsageError('--timeout takes a number of seconds from 1 to 3600.');
}

/** The path is kept, and git's helper opens it from another folder. */
export function toAbsolutePath(path: string): string {
  return resolve(path);
}

/**
 * @param usual - What it is for where nobody says.
 * @throws UsageError for a word that is no purpose.
 */
export function readCapabilities(
  words: readonly string[] | undefined,
  usual: readonly Capability[] = toUsualCapabilities('token'),
): readonly Capability[] {
  if (words === undefined) return usual;
  return words.map((word) => {
    const found = capabilityNames.find((name) => name === word);
    if (found) return found;
    throw new UsageError(`"${word}" is nothing that a link can be for.`, {
      hint: `There are: ${capabilityNames.map((name) => `${name} (${capabilityWords[name]})`).join(', ')}`,
    });
  });
}

/**
 * Gets the token from where the person said, or asks for it.
 *
 * @throws UsageError when there is no token, or several places were named.
 */
export async function obtainToken(
  session: Session,
  provider: Provider,
  { place, commandLine }: { readonly place: SignInPlace; readonly commandLine: string },
  flags: CredentialFlags,
): Promise<Secret> {
  const given = await readGivenSecret(session, 'token', {
    isPiped: flags.withToken === true,
    file: flags.tokenFile,
    variable: flags.tokenEnv,
  });
  if (given !== null) return given;
  const page = provider.tokenPage(place, readCapabilities(flags.for));
  if (!session.prompter.canAsk) {
    throw new UsageError('A token is needed, and there is no terminal to ask for it in.', {
      hint: `Make one at ${page.url}, then: ${commandLine} --with-token < FILE`,
    });
  }
  session.reporter.note(`Make a token at ${page.url}`);
  session.reporter.note(page.instructions);
  const token = await session.prompter.askSecret('Paste the token', '--with-token', noTokenAdvice);
  return toSecret(token.reveal(), 'the answer', 'token');
}

/** What a person is told who presses Enter where a token belongs: a slip must not cost all that was answered before. */
export const noTokenAdvice = 'Nothing was pasted. Paste the token, or stop with Ctrl-C.';

/** Where a person says that a secret is. */
interface SecretPlaces {
  /** On standard input. */
  readonly isPiped: boolean;
  readonly file: string | undefined;
  /** An environment variable. */
  readonly variable: string | undefined;
}

/**
 * Reads a secret from the one place that was named.
 *
 * @returns null where none was.
 * @throws UsageError for several places, or one that holds no secret.
 */
export async function readGivenSecret(
  session: Session,
  kind: SecretKind,
  { isPiped, file, variable }: SecretPlaces,
): Promise<Secret | null> {
  const places = [isPiped ? 'standard input' : undefined, file, variable].filter(
    (place) => place !== undefined,
  );
  if (places.length > 1) throw new UsageError(`Name one place for the ${kind}, not several.`);
  if (isPiped) return toSecret(await readStandardInput(session), 'standard input', kind);
  if (file !== undefined) return toSecret(await readTextFile(file), file, kind);
  if (variable === undefined) return null;
  const value = session.runtime.env[variable];
  if (value === undefined) throw new UsageError(`The variable ${variable} is not set.`);
  return toSecret(value, variable, kind);
}

/** What a person pipes in or keeps in a file. */
type SecretKind = 'token' | 'webhook secret' | 'client secret';

/**
 * Reads a private key, which is several lines.
 *
 * @throws UsageError for a file that holds none.
 */
export async function readKeyFile(path: string): Promise<Secret> {
  const text = await readTextFile(path);
  if (
    /^-----BEGIN [A-Z ]*PRIVATE KEY-----\s[\s\S]{100,}-----END [A-Z ]*PRIVATE KEY-----\s*$/.test(text.trim())
  ) {
    return new Secret(text.trim());
  }
  throw new UsageError(`${path} holds no private key in PEM form.`, {
    hint: "It is the file that the App's settings page downloads when a key is made; it begins with -----BEGIN.",
  });
}

/** Reads a secret that a person pipes in or keeps in a file: one word. */
function toSecret(text: string, place: string, kind: SecretKind): Secret {
  const word = text.trim();
  if (word === '') throw new UsageError(`There is no ${kind} in ${place}: it is empty.`);
  if (word.startsWith('-----BEGIN ')) {
    throw new UsageError(`${place} holds a key, not a ${kind}.`, {
      hint: 'The private key of a GitHub App goes with its number: --app-id ID --app-key-file FILE',
    });
  }
  if (/\s/.test(word)) throw new UsageError(`${place} holds more than one word; a ${kind} is one word.`);
  if (word.length > tokenLengthLimit) throw new UsageError(`What ${place} holds is too long for a ${kind}.`);
  return new Secret(word);
}

/** Reads standard input to its end; a person at a terminal is told what is waited for. */
async function readStandardInput(session: Session): Promise<string> {
  const { runtime } = session;
  if (runtime.isInputTerminal)
    session.reporter.note('Type or paste the secret, then press Enter and Ctrl-D.');
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of runtime.openInput()) {
    const bytes = Buffer.from(chunk as Uint8Array);
    length += bytes.length;
    if (length > tokenLengthLimit * 4) throw new UsageError('What was piped in is too long for a secret.');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** @throws UsageError when the file cannot be read. */
async function readTextFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new UsageError(`${path} cannot be read: ${code === 'ENOENT' ? 'there is no such file' : code}.`);
  }
}

/** @returns Milliseconds since the epoch, the start of that day; null where none was given. */
export function readExpiry(text: string | undefined, now: number): number | null {
  if (text === undefined) return null;
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageError('--expires takes a date such as 2027-03-31.');
  if (time <= now) throw new UsageError(`${text} is in the past.`);
  return time;
}

/**
 * When a credential ends: what the host tells, else what the person says. In a terminal they are asked where the
 * host keeps it to itself.
 *
 * @param given - The value of `--expires`, read by {@link readExpiry}.
 */
export async function chooseExpiry(
  { prompter, reporter, saysYes, context }: Session,
  { isExpiryHidden, expiresAt }: Identity,
  given: number | null,
): Promise<number | null> {
  const isAsked = isExpiryHidden === true && expiresAt === null && given === null;
  if (!isAsked || !prompter.canAsk || saysYes) return given;
  for (;;) {
    const answer = await prompter.ask(
      'When does this token end? The host does not tell (2027-03-31, or never)',
      '--expires',
      'unknown',
    );
    try {
      const isOpen = answer === 'never' || answer === 'unknown';
      return isOpen ? null : readExpiry(answer, context.clock.now());
    } catch (error) {
      // A slip of the pen shall not cost all that was answered before.
      if (!(error instanceof UsageError)) throw error;
      reporter.warn(error.message);
    }
  }
}
