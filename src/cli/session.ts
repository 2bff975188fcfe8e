import { CancelledError, UsageError } from '../errors.ts';
import type { EnvironmentLink } from '../operations/environment-link.ts';
import type { OperationContext } from '../operations/context.ts';
import { findLink } from '../operations/find-link.ts';
import { findDirectories, type Directories, type Runtime } from '../runtime.ts';
import type { LinkRecord, Storage } from '../store/link-schema.ts';
import { createContext } from './create-context.ts';
import { createOutput, type Output } from './output.ts';
import { createPrompter, type Prompter } from './prompter.ts';
import { loadStyles, wantsColour, type Styles } from './styles.ts';
import { createTerminalReporter, type TerminalReporter } from './terminal-reporter.ts';

/** The flags that every command has. */
export interface GlobalFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  /** Commander's name for `--no-input`. */
  readonly input?: boolean;
  /** Commander's name for `--no-color`. */
  readonly color?: boolean;
  readonly yes?: boolean;
  readonly configDir?: string;
}

/** What a command works with. */
export interface Session {
  readonly runtime: Runtime;
  readonly context: OperationContext;
  readonly directories: Directories;
  readonly output: Output;
  readonly reporter: TerminalReporter;
  readonly prompter: Prompter;
  readonly styles: Styles;
  /** Whether `--yes` was given. */
  readonly saysYes: boolean;
  /** Whether `--verbose` was given. */
  readonly isVerbose: boolean;
  /** Finds the link that is meant, asking where there are several and a terminal. */
  chooseLink(name: string | undefined): Promise<LinkRecord>;
}

export interface SessionOptions {
  readonly runtime: Runtime;
  readonly flags: GlobalFlags;
  readonly command: string;
  readonly passphraseFile: string | null;
}

/** Prepares a command: streams, colours, questions, and the way to the operations. */
export async function openSession({
  runtime,
  flags,
  command,
  passphraseFile,
}: SessionOptions): Promise<Session> {
  const isColourForbidden = flags.color === false;
  const isQuiet = flags.quiet === true;
  const output = createOutput({
    stdout: runtime.stdout,
    stderr: runtime.stderr,
    isJson: flags.json === true,
    isQuiet,
  });
  const talkStyles = await loadStyles(wantsColour(runtime.stderr, runtime.env, isColourForbidden));
  const styles = await loadStyles(wantsColour(runtime.stdout, runtime.env, isColourForbidden));
  const reporter = createTerminalReporter(runtime.stderr, output, talkStyles, isQuiet);
  const canAsk =
    runtime.isInputTerminal && runtime.stderr.isTTY && flags.input !== false && !runtime.env['CI'];
  const prompter = createPrompter({
    openStreams: () => ({ input: runtime.openInput(), output: runtime.openErrorStream() }),
    canAsk,
    saysYes: flags.yes === true,
    clear: () => reporter.clear(),
  });
  const directories = findDirectories(runtime.env, runtime.platform, flags.configDir);
  const trace = flags.verbose === true ? (line: string): void => reporter.note(line) : null;
  const environment = runtime.env['GITLINK_PROVIDER'] ? await readEnvironment(runtime) : null;
  const context = createContext({
    environment,
    runtime,
    directories,
    reporter,
    prompter,
    command,
    trace,
    passphraseFile,
  });

  return {
    runtime,
    context,
    directories,
    output,
    reporter,
    prompter,
    styles,
    saysYes: flags.yes === true,
    isVerbose: flags.verbose === true,
    async chooseLink(name) {
      const records = context.links.read();
      if (name !== undefined || records.links.length < 2 || !canAsk || environment !== null)
        return findLink(records, name ?? null);
      const choices = records.links.map((link) => ({
        value: link.name,
        label: `${link.name}  ${link.account.login ?? ''} at ${link.host}`,
      }));
      return findLink(records, await prompter.choose('Which link?', choices, '<link>'));
    },
  };
}

/** Loads the providers only where the environment names one. */
async function readEnvironment({ env, clock }: Runtime): Promise<EnvironmentLink> {
  const { readEnvironmentLink } = await import('../operations/environment-link.ts');
  return readEnvironmentLink(env, clock.now());
}

/** Asks before something that cannot be taken back; without a terminal only `--yes` will do. */
export async function assertConfirmed(session: Session, question: string): Promise<void> {
  if (session.saysYes) return;
  if (!session.prompter.canAsk) {
    throw new UsageError('This needs a confirmation, and there is no terminal to ask in.', {
      hint: 'If you mean it, add --yes',
    });
  }
  if (!(await session.prompter.confirm(question, true))) throw new CancelledError('Nothing was changed.');
}

/** Finds where a new secret goes: where `--store` says, or the preference, or the keychain. */
export async function chooseStorage({ context }: Session, given: Storage | undefined): Promise<Storage> {
  if (given !== undefined) return given;
  return (await context.openSettings()).get('store') === 'file' ? 'file' : 'keychain';
}
