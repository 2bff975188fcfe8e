import {
  planCredentialSetup,
  planCredentialUndo,
  type ConfigPlan,
  type SetupRecord,
} from '../git/credential-config.ts';
import type { GitContext } from '../git/run-git.ts';
import { gitAccesses } from '../providers/git-registry.ts';
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
 * Plans to make gitlink git's only credential helper for hosts.
 *
 * @param helper - The value of `credential.<host>.helper`.
 */
export async function planGitSetup(
  context: OperationContext,
  git: GitContext,
  hosts: readonly string[],
  helper: string,
): Promise<GitChange> {
  const known = context.links.read().gitSetups;
  const plan = await planCredentialSetup({ hosts, helper, scope: 'global', records: known }, git);
  const warnings = plan.laterHelpers.map(
    ({ host, file }) =>
      `${file} names another helper for ${host}; git gives it a copy of what gitlink answers.`,
  );
  return {
    plan,
    warnings,
    async apply() {
      // First, so that a crash in between can be undone.
      await context.links.change((records) => ({
        ...records,
        gitSetups: [...withoutHosts(records, hosts), ...plan.records.map(toStored)],
      }));
      await plan.apply();
    },
  };
}

/** Plans to give git back what it had before `setup-git`, for these hosts or for all. */
export async function planGitUndo(
  context: OperationContext,
  git: GitContext,
  hosts: readonly string[] | null,
): Promise<GitChange> {
  const records = context.links.read().gitSetups;
  const undone = records.filter(({ host }) => hosts === null || hosts.includes(host));
  const plan = await planCredentialUndo(undone, git);
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

/** The hosts for which git asks gitlink. */
export function listConfiguredHosts(records: Records): readonly string[] {
  return records.gitSetups.map(({ host }) => host);
}

/** Whether git asks gitlink for a link's host, and no other link could answer once this one is gone. */
export function isLastForGit(records: Records, { id, host }: LinkRecord): boolean {
  const others = records.links.filter((link) => link.id !== id && link.status !== 'unlinking');
  return listConfiguredHosts(records).includes(host) && !others.some((link) => link.host === host);
}

function withoutHosts(records: Records, hosts: readonly string[]): Records['gitSetups'] {
  return records.gitSetups.filter(({ host }) => !hosts.includes(host));
}
