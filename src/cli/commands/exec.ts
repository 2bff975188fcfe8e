import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { CancelledError, exitCodes, GitlinkError, UsageError } from '../../errors.ts';
import { findExecutable } from '../../git/find-executable.ts';
import { handOut } from '../../operations/hand-out.ts';
import { requireProvider } from '../../operations/link-faults.ts';
import { quoteWord } from '../../operations/quote-word.ts';
import { withoutEnvironmentLink } from '../../operations/receiver-command.ts';
import { collectList, createCommand, type Cli } from '../program.ts';
import { maskInLogs, warnOfReach } from '../secret-output.ts';
import type { Session } from '../session.ts';

interface ExecFlags {
  readonly repo?: string;
  readonly permission?: readonly string[];
  readonly env?: string;
}

export function registerExec(cli: Cli): void {
  createCommand(cli, 'exec', 'Run a program with an access token in its environment', [
    ['gitlink exec gitlab -- glab repo list', 'the token is in GITLAB_TOKEN and GITLINK_TOKEN, there alone'],
    ['gitlink exec gitea --env TOKEN -- ./release.sh', 'in this variable instead'],
    [
      'gitlink exec work --repo acme/api -- npm run release',
      'a restricted link needs to know what it is for',
    ],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .option('--repo <owner/name>', 'what the token is for')
    .option(
      '--permission <name>',
      'what it shall be able to do, where the host makes tokens as narrow (repeatable)',
      collectList,
    )
    .option('--env <name>', 'the one variable to put the token in')
    .addHelpText('after', '\nThe program and its arguments come after --')
    // What is too much is the program, which is told better here.
    .allowExcessArguments()
    .action((name: string | undefined, flags: ExecFlags, { args }: Command) =>
      cli.run('exec', (session) => {
        if (args.length > 1) throw explainDashes(session, [...args, ...cli.afterDashes]);
        return run(session, name, flags, cli.afterDashes);
      }),
    );
}

/** @param words - The link, where one is named, and the program with its arguments. */
function explainDashes({ context, runtime }: Session, words: readonly string[]): UsageError {
  const [first = ''] = words;
  const isLink = context.links.read().links.some(({ name }) => name === first);
  // A slip in a link's name is more likely than a program that is not there.
  const linkCount = isLink || findExecutable(first, runtime) === null ? 1 : 0;
  const line = [...words.slice(0, linkCount), '--', ...words.slice(linkCount)];
  return new UsageError('The program to run comes after two hyphens.', {
    hint: `Put -- before it: gitlink exec ${line.map(quoteWord).join(' ')}`,
  });
}

async function run(
  session: Session,
  name: string | undefined,
  flags: ExecFlags,
  commandLine: readonly string[],
): Promise<number> {
  const [program, ...args] = commandLine;
  if (program === undefined) {
    throw new UsageError('The program to run is needed, after two hyphens.', {
      hint: 'For example: gitlink exec gitlab -- glab repo list',
    });
  }
  if (flags.env !== undefined && !/^[A-Za-z_]\w{0,99}$/.test(flags.env)) {
    throw new UsageError(`--env takes the name of a variable, such as GITLAB_TOKEN.`);
  }
  const { context, reporter, runtime } = session;
  const file = program.includes('/') ? program : findExecutable(program, runtime);
  if (file === null) throw new UsageError(`${program} was not found on PATH.`);
  const link = await session.chooseLink(name);
  const wish = { repository: flags.repo ?? null, permissions: flags.permission ?? null };
  const { token, reachesFurther, end } = await handOut(context, link, wish, 'exec');
  reporter.clear();
  if (reachesFurther) warnOfReach(session, link);
  if (link.storage !== 'env' || end !== null) maskInLogs(session, token);
  const names =
    flags.env === undefined ? ['GITLINK_TOKEN', ...requireProvider(link).tokenVariables] : [flags.env];
  const secrets = Object.fromEntries(names.map((each) => [each, token.reveal()]));
  const ended = new Promise<number>((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: 'inherit',
      env: { ...withoutEnvironmentLink(runtime.env), ...secrets },
    });
    // Ctrl-C reaches the program by itself; what ends gitlink alone is passed on.
    runtime.signal.addEventListener('abort', () => endWith(child, runtime.signal.reason), { once: true });
    child.on('error', () => reject(new UsageError(`${program} cannot be started.`)));
    child.on('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
  try {
    return await ended;
  } finally {
    if (end !== null) await endQuietly(session, end);
  }
}

/** What the program did stands, whatever becomes of its token: that ends by itself within the hour. */
async function endQuietly({ reporter }: Session, end: () => Promise<void>): Promise<void> {
  try {
    await end();
  } catch (error) {
    if (!(error instanceof GitlinkError)) throw error;
    reporter.warn(
      `The token that was made for it could not be ended, and ends within the hour: ${error.message}`,
    );
  }
}

function endWith(child: ChildProcess, reason: unknown): void {
  if (reason instanceof CancelledError && reason.exitCode === exitCodes.terminated) child.kill('SIGTERM');
}
