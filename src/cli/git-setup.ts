import { join } from 'node:path';
import { chooseHelperCommand } from '../git/helper-command.ts';
import { toDisplayHost } from '../http/base-url.ts';
import {
  listConfiguredHosts,
  listGitHosts,
  listLastHosts,
  planGitSetup,
  planGitUndo,
  type GitChange,
} from '../operations/configure-git.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { Session } from './session.ts';

/** What git shall call: the helper by its name where git finds it, else by its path. */
export function chooseHelper({ runtime }: Session): string {
  const script = join(import.meta.dirname, '..', 'bin', 'git-credential-gitlink.js');
  return chooseHelperCommand(script, process.execPath, runtime);
}

/** Shows a change to git's configuration as the lines that go and come, and makes it. */
export async function makeGitChange(session: Session, change: GitChange): Promise<boolean> {
  const { output, reporter, styles } = session;
  reporter.clear();
  for (const { file, diff } of change.plan.changes) {
    output.talk(styles.strong(file));
    for (const line of diff) output.talk(line.startsWith('+') ? styles.good(line) : styles.bad(line));
  }
  for (const warning of change.warnings) reporter.warn(warning);
  await change.apply();
  return change.plan.changes.length > 0;
}

/**
 * After linking: in a terminal asks whether git shall use the account; without one git is changed only on
 * request. A host that git asks gitlink for already needs nothing.
 */
export async function offerGit(
  session: Session,
  link: LinkRecord,
  isWanted: boolean | undefined,
): Promise<void> {
  const { context, prompter, reporter, runtime } = session;
  const hosts = listGitHosts(link);
  const configured = listConfiguredHosts(context.links.read());
  if (isWanted === false || hosts.every((host) => configured.includes(host))) return;
  if (isWanted !== true) {
    if (!prompter.canAsk) {
      reporter.note('To use this account for git: gitlink setup-git');
      return;
    }
    if (!(await prompter.confirm('Use this account for git?', true))) return;
  }
  const change = await planGitSetup(context, runtime, hosts, chooseHelper(session));
  await makeGitChange(session, change);
  reporter.note(`git now asks gitlink for ${toDisplayHost(link.host)}.`);
}

/** Gives git back what it had before `setup-git` for what a link alone answers, showing the change. */
export async function undoGitFor(session: Session, link: LinkRecord): Promise<void> {
  const { context, runtime } = session;
  const hosts = listLastHosts(context.links.read(), link);
  await makeGitChange(session, await planGitUndo(context, runtime, hosts));
}
