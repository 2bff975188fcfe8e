import { readChunks } from './git/read-chunks.ts';
import { answerGit } from './operations/answer-git.ts';
import { createGitQuestion } from './operations/git-question.ts';
import { toPrintable } from './printable.ts';
import { findDirectories } from './runtime.ts';
import { endByForce } from './vault/forced-end.ts';

/** After this git gets no answer, whatever is stuck. */
const deadlineMs = 10_000;

/**
 * git's credential helper: a program of its own, because git starts it with every fetch. It loads nothing that
 * an answer from the keychain does not need, and says nothing but the protocol on standard output.
 *
 * @param args - The operation, as git gives it.
 */
export async function runCredentialHelper(args: readonly string[]): Promise<void> {
  const { env } = process;
  const deadline = setTimeout(() => {
    process.stderr.write('gitlink: no answer in 10 seconds\n');
    endByForce();
  }, deadlineMs);
  const directories = findDirectories(env, process.platform);
  const question = createGitQuestion(args[0] ?? '', readChunks(0), {
    env,
    directories,
    now: () => Date.now(),
    readOtherItem: async (link, passphraseFile) => {
      const { readVaultItem } = await import('./operations/helper-storage.ts');
      return readVaultItem(directories, env, link, passphraseFile);
    },
    markRefused: async (link) => {
      const { markRefused } = await import('./operations/helper-storage.ts');
      return markRefused(directories, link);
    },
  });
  try {
    const { output, notice } = await answerGit(question);
    if (notice !== null) process.stderr.write(`${notice}\n`);
    if (output !== null) process.stdout.write(output);
  } catch (error) {
    // git goes on without an answer; the reason is for the person.
    const reason = error instanceof Error ? error.message : 'something went wrong';
    process.stderr.write(`${toPrintable(`gitlink: ${reason}`)}\n`);
    if (error instanceof Error && 'fault' in error && error.fault === 'timeout') endByForce();
  }
  clearTimeout(deadline);
}
