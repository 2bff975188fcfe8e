import { readChunks } from './git/read-chunks.ts';
import { createGitQuestion, replyToGit, type HelperSurroundings } from './operations/git-question.ts';
import { findDirectories } from './runtime.ts';
import { createTextSink } from './text-sink.ts';
import { version } from './version.ts';

/**
 * git's credential helper: a program of its own, because git starts it with every fetch. It loads nothing that
 * an answer from the keychain does not need, and says nothing but the protocol on standard output.
 *
 * @param args - The operation, as git gives it.
 */
export async function runCredentialHelper(args: readonly string[]): Promise<void> {
  const { env } = process;
  const directories = findDirectories(env, process.platform);
  const machine = { directories, env, userAgent: `gitlink/${version}`, fetch: globalThis.fetch };
  const stderr = createTextSink(2);
  const environment = await readEnvironment(env, stderr);
  if (environment === 'refused') return;
  const question = createGitQuestion(args[0] ?? '', readChunks(0), {
    env,
    directories,
    environment,
    now: () => Date.now(),
    readOtherItem: async (link, passphraseFile) => {
      const { readVaultItem } = await import('./operations/helper-storage.ts');
      return readVaultItem(directories, env, link, passphraseFile);
    },
    renew: async (link, credential, isRefused) => {
      const { renewForGit } = await import('./operations/helper-renewal.ts');
      return renewForGit(machine, link, credential, isRefused);
    },
    mint: async (link, repository) => {
      const { mintForGit } = await import('./operations/helper-renewal.ts');
      return mintForGit(machine, link, repository);
    },
    forgetMinted: async (link, repository) => {
      const { forgetForGit } = await import('./operations/helper-renewal.ts');
      await forgetForGit(machine, link, repository);
    },
    lookUp: async (link, repository) => {
      const { lookUpForGit } = await import('./operations/helper-renewal.ts');
      return lookUpForGit(machine, link, repository);
    },
    markRefused: async (link) => {
      const { markRefused } = await import('./operations/helper-storage.ts');
      return markRefused(directories, link);
    },
  });
  await replyToGit(question, { stdout: createTextSink(1), stderr });
}

/** Most machines have none, and load nothing for it. One that is wrong gives git no answer, and says why. */
async function readEnvironment(
  env: NodeJS.ProcessEnv,
  stderr: { write(text: string): unknown },
): Promise<HelperSurroundings['environment'] | 'refused'> {
  if (!env['GITLINK_PROVIDER']) return null;
  const { readEnvironmentForGit } = await import('./operations/helper-renewal.ts');
  try {
    return readEnvironmentForGit({ env });
  } catch (error) {
    stderr.write(`gitlink: ${error instanceof Error ? error.message : 'the environment cannot be read'}\n`);
    return 'refused';
  }
}
