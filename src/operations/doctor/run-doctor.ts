import { GitlinkError } from '../../errors.ts';
import type { OperationContext } from '../context.ts';
import { checkClearText } from './check-clear-text.ts';
import { checkLeftoverFiles, checkLocks, checkModes, checkRecords, checkSettings } from './check-files.ts';
import { checkGit, checkRemotes } from './check-git.ts';
import { checkLeftoverSecrets } from './check-leftovers.ts';
import { checkClients, checkLinks, checkWebhookRuns } from './check-links.ts';
import { checkEncryptedFile, checkKeychain, checkSessionBus } from './check-stores.ts';
import { checkAuthorities, checkBrowser, checkHosts, checkProxy } from './check-surroundings.ts';
import type { Check, Doctor } from './check.ts';
import { readStores } from './read-stores.ts';

/**
 * Looks at all that gitlink needs on this machine. Changes nothing but what every command changes: a file that
 * others could read is closed when it is read.
 *
 * @param helper - What git shall call, from `chooseHelperCommand`.
 */
export async function runDoctor(context: OperationContext, helper: string): Promise<readonly Check[]> {
  const modes = checkModes(context.directories, context.platform);
  const { records, checks: readable } = checkRecords(context, modes);
  const doctor: Doctor = { context, records, helper };
  const stores = await readStores(doctor);
  const bus = await checkSessionBus(doctor, stores);
  const isBusBroken = bus.some(({ state }) => state !== 'ok');
  const later = await Promise.all([
    checkSettings(doctor, modes),
    checkLeftoverFiles(doctor),
    checkLocks(doctor),
    checkBrowser(doctor),
    checkProxy(doctor),
    checkAuthorities(doctor),
    checkHosts(doctor),
    checkGit(doctor),
    checkRemotes(doctor),
    checkClearText(doctor),
    checkWebhookRuns(doctor),
  ]);
  const [settings, files, locks, ...surroundings] = later;
  return [
    ...readable,
    ...settings,
    ...modes,
    ...bus,
    ...checkKeychain(doctor, stores, isBusBroken),
    ...checkEncryptedFile(doctor, stores),
    ...checkLinks(doctor, stores),
    ...checkClients(doctor, stores),
    ...checkLeftoverSecrets(doctor, stores),
    ...files,
    ...locks,
    ...surroundings.flat(),
  ];
}

/** Mends what can be mended without a risk, one after the other; what cannot stays as it was found, with the reason. */
export async function mendAll(
  context: OperationContext,
  checks: readonly Check[],
): Promise<readonly Check[]> {
  const results: Check[] = [];
  for (const check of checks) {
    if (!check.mend) {
      results.push(check);
      continue;
    }
    context.reporter.status(`Mending: ${check.detail}…`);
    results.push(await mend(check, check.mend));
  }
  return results;
}

async function mend(check: Check, work: () => Promise<string>): Promise<Check> {
  const { name } = check;
  try {
    return { name, state: 'ok', detail: `mended: ${await work()}`, fix: null };
  } catch (error) {
    if (error instanceof GitlinkError && error.code === 'cancelled') throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    const reason = error instanceof GitlinkError ? error.message : `it failed (${code}).`;
    return { ...check, detail: `${check.detail}; it could not be mended: ${reason.replace(/\.$/, '')}` };
  }
}
