import {
  describePlainSetup,
  planCredentialSetup,
  planCredentialUndo,
  type ConfigPlan,
  type SetupRecord,
} from '../git/credential-config.ts';
import type { GitContext } from '../git/run-git.ts';
import { gitAccesses } from '../providers/git-registry.ts';
import { environmentId } from '../store/environment-records.ts';
import type { LinkRecord, Records } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';

/** A change to git's configuration that a person can look at before it is made. */
export interface GitChange {
  readonly plan: ConfigPlan;
  /** What a person should know beside the change. */
  readonly warnings: readonly string[];
  /** Makes the change, and keeps what is needed to undo it. */
  apply(): Promise<void>;
}

/**
 * Plans to make gitlink git's only credential helper for hosts. For those of the environment's link nothing is kept
 * beside git's own file: a job leaves nothing of gitlink behind.
 *
 * @param helper - The value of `credential.<host>.helper`.
 */
export async function planGitSetup(
  context: OperationContext,
  git: GitContext,
  hosts: readonly string[],
  helper: string,
): Promise<GitChange> {
  const before = context.links.read();
  const plan = await planCredentialSetup({ hosts, helper, scope: 'global', records: before.gitSetups }, git);
  const passing = listPassingHosts(before);
  const lost = plan.records.filter(
    ({ host, keys }) =>
      passing.includes(host) &&
      keys.some(({ written, replaced }) => replaced.some((value) => !written.includes(value))),
  );
  return {
    plan,
    warnings: [
      ...plan.laterHelpers.map(
        ({ host, file }) =>
          `${file} names another helper for ${host}; git gives it a copy of what gitlink answers.`,
      ),
      ...lost.map(
        ({ host, file }) => `What ${file} says for ${host} goes: nothing is kept of it beside that file.`,
      ),
    ],
    async apply() {
      // First, so that a crash in between can be undone.
      await context.links.change((records) => ({
        ...records,
        gitSetups: [
          ...withoutHosts(records, hosts),
          ...plan.records.filter(({ host }) => !passing.includes(host)).map(toStored),
        ],
      }));
      await plan.apply();
    },
  };
}

/**
 * Plans to give git back what it had before `setup-git`, for these hosts or for all.
 *
 * @param helper - What git would call: takes it from the hosts of the environment's link, too.
 */
export async function planGitUndo(
  context: OperationContext,
  git: GitContext,
  hosts: readonly string[] | null,
  helper: string | null = null,
): Promise<GitChange> {
  const records = context.links.read();
  const undone = records.gitSetups.filter(({ host }) => hosts === null || hosts.includes(host));
  const passing = helper === null ? [] : await describePlainSetup(listPassingHosts(records), helper, git);
  const plan = await planCredentialUndo([...undone, ...passing], git);
  return {
    plan,
    warnings: [],
    async apply() {
      await plan.apply();
      await context.links.change((before) => ({
        ...before,
        gitSetups: withoutHosts(
          before,
          undone.map(({ host }) => host),
        ),
      }));
    },
  };
}

function toStored(record: SetupRecord): Records['gitSetups'][number] {
  const keys = record.keys.map(({ name, written, replaced }) => ({
    name,
    written: [...written],
    replaced: [...replaced],
  }));
  return { ...record, keys };
}

/** Where git may ask for the repositories of a link: its host, and the other addresses of that. */
export function listGitHosts({ provider, host, organization }: LinkRecord): readonly string[] {
  return [host, ...(gitAccesses[provider]?.listOtherHosts?.(host, organization) ?? [])];
}

/** The hosts that nothing but the environment's link names. */
function listPassingHosts(records: Records): readonly string[] {
  const [own = [], others = []] = [true, false].map((isOwn) =>
    records.links.filter(({ id }) => (id === environmentId) === isOwn).flatMap(listGitHosts),
  );
  const kept = [...others, ...listConfiguredHosts(records)];
  return own.filter((host) => !kept.includes(host));
}

/** The hosts for which git asks gitlink. */
export function listConfiguredHosts(records: Records): readonly string[] {
  return records.gitSetups.map(({ host }) => host);
}

/** The hosts for which git asks gitlink, and no other link could answer once this one is gone. */
export function listLastHosts(records: Records, link: LinkRecord): readonly string[] {
  const others = records.links.filter(({ id, status }) => id !== link.id && status !== 'unlinking');
  const needed = others.flatMap(listGitHosts);
  const configured = listConfiguredHosts(records);
  return listGitHosts(link).filter((host) => configured.includes(host) && !needed.includes(host));
}

function withoutHosts(records: Records, hosts: readonly string[]): Records['gitSetups'] {
  return records.gitSetups.filter(({ host }) => !hosts.includes(host));
}
