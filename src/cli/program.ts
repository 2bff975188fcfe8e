import { Command, CommanderError, Option } from 'commander';
import { exitCodes, UsageError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { version } from '../version.ts';
import { registerList } from './commands/list.ts';
import { openSession, type GlobalFlags, type Session } from './session.ts';

/** What a command file is given to register itself. */
export interface Cli {
  readonly program: Command;
  /** What comes after two hyphens, for the command that runs another program. */
  readonly afterDashes: readonly string[];
  /**
   * Runs a command's work in a session.
   *
   * @param work - Returns the exit code; nothing for 0.
   */
  run(
    command: string,
    work: (session: Session) => Promise<number | void>,
    options?: { readonly passphraseFile?: string | undefined },
  ): Promise<void>;
}

/**
 * The word by which the scripts of `gitlink completion` ask: `gitlink __complete <index> <word>…`. The index is that of
 * the word at the cursor, counted from 0 behind the program's name: where it is empty, some shells leave it out.
 *
 * The answer has a line for each suggestion, `value TAB description`; a line `:files` or `:directories` leaves it to
 * the shell. The words travel as arguments and are never put into a command line again.
 */
export const completionWord = '__complete';

/** The parsed command line's effect. */
export interface ProgramResult {
  readonly exitCode: number;
}

/**
 * Parses the command line and runs its command. Only the command that is asked for is loaded.
 *
 * @throws UsageError for a command line that cannot be understood, and whatever the command throws.
 */
export async function runProgram(words: readonly string[], runtime: Runtime): Promise<ProgramResult> {
  if (words[0] === completionWord) return completeLine(words.slice(1), runtime);
  const { argv, afterDashes } = splitAtDashes(words);
  assertNoSecretArguments(argv);
  const program = createProgram(runtime);
  let exitCode: number = exitCodes.done;
  const cli: Cli = {
    program,
    afterDashes,
    async run(command, work, options = {}) {
      const session = await openSession({
        runtime,
        flags: program.opts<GlobalFlags>(),
        command,
        passphraseFile: options.passphraseFile ?? null,
      });
      try {
        exitCode = (await work(session)) ?? exitCodes.done;
      } finally {
        session.reporter.clear();
      }
    },
  };
  const wanted = findCommandWord(argv);
  const commands = await loadCommands(wanted);
  for (const register of Object.values(commands)) register(cli);
  program.hook('preAction', (_, command) =>
    assertNoFlagAsValue([...command.options, ...program.options], command),
  );
  try {
    await program.parseAsync(argv.length === 0 || wanted === 'help' ? ['--help'] : [...argv], {
      from: 'user',
    });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { exitCode: exitCodes.done };
    throw toUsageError(error, program.commands.find((command) => command.name() === wanted) ?? null);
  }
  return { exitCode };
}

/** What a shell asks when somebody presses TAB. Every word is taken as it is: a line is not finished yet. */
async function completeLine(words: readonly string[], runtime: Runtime): Promise<ProgramResult> {
  const program = createProgram(runtime);
  const cli: Cli = { program, afterDashes: [], run: () => Promise.resolve() };
  for (const register of Object.values(await loadCommands(undefined))) register(cli);
  const { answerShell } = await import('./completion/answer-shell.ts');
  answerShell(program, words, runtime);
  return { exitCode: exitCodes.done };
}

/** The first word that is neither a flag nor the value of one. */
function findCommandWord(words: readonly string[]): string | undefined {
  return words.find((word, index) => !word.startsWith('-') && words[index - 1] !== '--config-dir');
}

/** The command line of another program is not ours to read. */
function splitAtDashes(words: readonly string[]): {
  readonly argv: readonly string[];
  readonly afterDashes: readonly string[];
} {
  const dashes = words.indexOf('--');
  const isExec = findCommandWord(words) === 'exec';
  if (!isExec || dashes === -1) return { argv: words, afterDashes: [] };
  return { argv: words.slice(0, dashes), afterDashes: words.slice(dashes + 1) };
}

/** `list` is what scripts and prompts ask all the time, so it comes without the weight of the others. */
async function loadCommands(
  wanted: string | undefined,
): Promise<Readonly<Record<string, (cli: Cli) => void>>> {
  if (wanted === 'list') return { list: registerList };
  const { commandTable } = await import('./command-table.ts');
  const isKnown = wanted !== undefined && Object.hasOwn(commandTable, wanted);
  const register = isKnown ? commandTable[wanted] : undefined;
  return isKnown && register ? { [wanted]: register } : commandTable;
}

function createProgram(runtime: Runtime): Command {
  return new Command('gitlink')
    .description(
      'Manage connections to Git providers: the credential in your keychain, no server in between.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .option('--json', 'print exactly one JSON document on standard output')
    .option('-q, --quiet', 'no messages, only data and errors')
    .option('--verbose', 'trace the HTTP requests, without secrets')
    .option('--no-input', 'never ask anything')
    .option('--no-color', 'no colours (NO_COLOR does the same)')
    .option('-y, --yes', 'take the usual answer to every question')
    .option('--config-dir <dir>', 'keep everything in this folder (GITLINK_CONFIG_DIR does the same)')
    .configureHelp({
      showGlobalOptions: false,
      sortSubcommands: false,
      // Nearly every command has options: saying so would leave the descriptions no room in 80 columns.
      subcommandTerm: (command) =>
        `${command.name()} ${command.usage().replace('[options]', '').trim()}`.trim(),
    })
    .configureOutput({
      writeOut: (text) => {
        runtime.stdout.write(text);
      },
      // Errors are reported in one place, with their exit code and JSON document.
      writeErr: () => {},
    })
    .exitOverride()
    .addHelpText(
      'before',
      toExamples([
        ['gitlink link gitlab', 'connect your account'],
        ['gitlink list', 'see what is connected'],
        ['gitlink restrict gitlab acme', 'limit a link to the namespace acme'],
        ['gitlink regenerate-webhooks gitlab --url https://ci.acme.dev/hook', 'a fresh secret everywhere'],
        ['gitlink unlink gitlab', 'take it all back'],
      ]),
    );
}

/** A command with its examples, which stand before everything else in its help. */
export function createCommand(
  cli: Cli,
  name: string,
  description: string,
  examples: readonly (readonly [commandLine: string, what: string])[],
): Command {
  return cli.program
    .command(name)
    .description(description)
    .addHelpText('before', toExamples(examples))
    .addHelpText('after', '\nFlags of every command: gitlink --help');
}

function toExamples(examples: readonly (readonly [string, string])[]): string {
  return `Examples:\n${examples.map(([line, what]) => `  $ ${line}\n      ${what}`).join('\n')}\n`;
}

/** Secrets in arguments are seen by every process of the machine and kept by the shell. */
function assertNoSecretArguments(argv: readonly string[]): void {
  const flag = argv
    .map((word) => word.split('=')[0] ?? '')
    .find((word) => /^--?(?:access-)?(?:token|pat|password|secret|client-secret|passphrase)$/.test(word));
  if (flag === undefined) return;
  throw new UsageError(
    `${flag} does not exist: a secret in an argument is visible to others and stays in the shell's history.`,
    {
      hint: 'Pipe it in with --with-token (or --with-secret), or name a file with --token-file, or a variable with --token-env. If it was a real secret, replace it.',
    },
  );
}

/** A value that was forgotten makes commander take the next flag for it: `--config-dir --json`. */
function assertNoFlagAsValue(flags: readonly Option[], command: Command): void {
  const names = flags.flatMap(({ short, long }) => [short, long]);
  const values = command.optsWithGlobals<Record<string, unknown>>();
  for (const flag of flags.filter(({ required }) => required)) {
    const given = [values[flag.attributeName()]].flat();
    const taken = given.find(
      (value) => typeof value === 'string' && names.includes(value.split('=')[0] ?? ''),
    );
    if (taken !== undefined) {
      throw new UsageError(`${flag.long ?? flag.flags} needs a value, and what follows it is a flag.`, {
        hint: `See: gitlink ${command.name()} --help`,
      });
    }
  }
}

/** Commander's own words, without what the person typed where that could be a secret. */
function toUsageError(error: CommanderError, command: Command | null): UsageError {
  const help = command === null ? 'gitlink --help' : `gitlink ${command.name()} --help`;
  if (error.code === 'commander.help') {
    return new UsageError('A command is needed.', { hint: 'To see what there is: gitlink --help' });
  }
  // What it suggests stands in a second line, in brackets.
  const [text = '', suggestion = ''] = error.message.replace(/^error: /, '').split('\n');
  const message = text.replace(/(unknown option '--?[\w-]+)=[^']*'/, "$1'").replace(/\.$/, '');
  const lacking =
    error.code === 'commander.missingArgument'
      ? command?.registeredArguments.find((argument) => message.endsWith(`'${argument.name()}'`))
      : undefined;
  const choices = lacking ? `: ${lacking.argChoices?.join(', ') ?? lacking.description}` : '';
  return new UsageError(`${message.charAt(0).toUpperCase()}${message.slice(1)}${choices}.`, {
    hint: `${suggestion.replace(/^\((.*)\)$/, '$1 ')}See: ${help}`,
  });
}

/** Collects the values of a flag that may be given several times, each perhaps a list with commas. */
export function collectList(value: string, previous: readonly string[] | undefined): string[] {
  const values = value.split(',').map((each) => each.trim());
  return [...(previous ?? []), ...values.filter((each) => each !== '')];
}

/** A flag that takes one of a few words. */
export function createChoice(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices([...choices]);
}
