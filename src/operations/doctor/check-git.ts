import { GitlinkError, assertTellable } from '../../errors.ts';
import { readConfigFile } from '../../git/config-file.ts';
import { planCredentialSetup } from '../../git/credential-config.ts';
import { listRemotes } from '../../git/remotes.ts';
import { runGit } from '../../git/run-git.ts';
import type { Records } from '../../store/link-schema.ts';
import { listConfiguredHosts, listGitHosts, planGitSetup, planGitUndo } from '../configure-git.ts';
import { quoteWord } from '../quote-word.ts';
import { sound, toDetail, type Check, type Doctor } from './check.ts';

/** The first git that hands a helper the path of a repository and obeys an empty `helper` (git-config(1)). */
const oldestGit = [2, 9] as const;

/** Which git there is, and whether it asks gitlink as `setup-git` left it. */
export async function checkGit(doctor: Doctor): Promise<readonly Check[]> {
  const name = 'git';
  try {
    const { stdout } = await runGit(['--version'], doctor.context);
    const version = /\d+\.\d+(?:\.\d+)?/.exec(stdout)?.[0] ?? 'unknown';
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < oldestGit[0] || (major === oldestGit[0] && minor < oldestGit[1])) {
      const detail = `git ${version} is older than ${oldestGit.join('.')}, which the credential helper needs`;
      return [{ name, state: 'error', detail, fix: 'sudo apt install git' }];
    }
    const setup = await checkSetup(doctor);
    return [sound(name, `version ${version}`), ...setup];
  } catch (error) {
    assertTellable(error);
    return [{ name, state: 'error', detail: toDetail(error), fix: 'sudo apt install git' }];
  }
}

async function checkSetup(doctor: Doctor): Promise<readonly Check[]> {
  const { context, helper, records } = doctor;
  const name = 'git-setup';
  if (records === null) return [];
  const hosts = listConfiguredHosts(records);
  if (hosts.length === 0) return [sound(name, 'git does not ask gitlink; to change that: gitlink setup-git')];
  try {
    const linked = records.links.flatMap(listGitHosts);
    const forsaken = hosts.filter((host) => !linked.includes(host));
    const used = hosts.filter((host) => !forsaken.includes(host));
    const checks = [
      ...(await checkUsed(context, used, helper)),
      ...listUnasked(records, hosts).map(toUnasked),
      ...forsaken.map((host) => toForsaken(context, host)),
    ];
    return checks.length > 0 ? checks : [sound(name, `git asks gitlink for ${used.join(', ')}`)];
  } catch (error) {
    assertTellable(error);
    const fix = 'git config --global --list --show-origin';
    return [{ name, state: 'error', detail: toDetail(error), fix }];
  }
}

async function checkUsed(
  context: Doctor['context'],
  hosts: readonly string[],
  helper: string,
): Promise<Check[]> {
  const name = 'git-setup';
  if (hosts.length === 0) return [];
  const records = context.links.read().gitSetups;
  const plan = await planCredentialSetup({ hosts, helper, scope: 'global', records }, context);
  if (plan.changes.length > 0) {
    const detail = `git's configuration for ${hosts.join(', ')} is not as setup-git writes it, so git may not ask gitlink`;
    const mend = async (): Promise<string> => {
      const change = await planGitSetup(context, context, hosts, helper);
      await change.apply();
      return `set git up again for ${hosts.join(', ')}`;
    };
    return [{ name, state: 'error', detail, fix: 'gitlink setup-git', mend }];
  }
  return Promise.all(
    plan.laterHelpers.map(async ({ host, file }): Promise<Check> => {
      const detail = `${file} names another helper, which git gives a copy of what gitlink answers for ${host}`;
      return { name, state: 'warning', detail, fix: await findHelperFix(context, file, helper) };
    }),
  );
}

/** The line that takes the other helper out of its file. */
async function findHelperFix(context: Doctor['context'], file: string, helper: string): Promise<string> {
  const entries = await readConfigFile(file, context);
  const other = entries.find(({ name, value }) => name === 'helper' && value !== '' && value !== helper);
  return `git config --file ${quoteWord(file)} --unset-all ${quoteWord(`${other?.section ?? 'credential'}.helper`)}`;
}

/** The hosts of links that `setup-git` was not run for, although it was for others. */
function listUnasked({ links }: Records, configured: readonly string[]): readonly string[] {
  // Nothing is kept of what git was told for the environment's link.
  const needed = links.filter(({ storage, status }) => storage !== 'env' && status !== 'unlinking');
  return [...new Set(needed.flatMap(listGitHosts))].filter((host) => !configured.includes(host));
}

function toUnasked(host: string): Check {
  const detail = `git does not ask gitlink for ${host}, of which there is a link`;
  return { name: 'git-setup', state: 'warning', detail, fix: 'gitlink setup-git' };
}

function toForsaken(context: Doctor['context'], host: string): Check {
  return {
    name: 'git-setup',
    state: 'warning',
    detail: `git asks gitlink for ${host}, of which there is no link any more`,
    fix: 'gitlink doctor --fix',
    mend: async () => {
      const change = await planGitUndo(context, context, [host]);
      await change.apply();
      return `gave git back what it had for ${host}`;
    },
  };
}

/** Tokens in the addresses of the repository around: every program that reads its configuration can read them. */
export async function checkRemotes({ context }: Doctor): Promise<readonly Check[]> {
  const name = 'remotes';
  try {
    const remotes = await listRemotes(context);
    const checks = remotes.flatMap(({ name: remote, url, hasPassword, file }): Check[] => {
      if (!hasPassword) return [];
      const detail = `the remote ${remote} holds a password or token in clear text (${file})`;
      const port = url?.port == null ? '' : `:${url.port}`;
      const address =
        url === null ? 'URL-WITHOUT-THE-TOKEN' : `${url.protocol}://${url.host}${port}/${url.path}`;
      return [
        {
          name,
          state: 'warning',
          detail,
          fix: `git remote set-url ${quoteWord(remote)} ${quoteWord(address)}`,
        },
      ];
    });
    if (checks.length > 0) return checks;
    return [
      sound(
        name,
        remotes.length === 0 ? 'there is no repository around, or it has none' : 'no token in an address',
      ),
    ];
  } catch (error) {
    // Without git there are no remotes to look at, and that is another check's finding.
    if (error instanceof GitlinkError && error.code !== 'cancelled') return [];
    throw error;
  }
}
