import { setTimeout as delay } from 'node:timers/promises';
import {
  askAtOnce,
  hostNames,
  linkDue,
  makeDue,
  startRefreshHost,
  toRepositoryUrl,
  type HostName,
  type RefreshHost,
} from '../cli/refresh-hosts.ts';
import { createSeededRandom } from '../simulators/faults.ts';
import { runWithBrowser } from '../cli/sign-in-kit.ts';
import { toRequest } from '../support/ask-git.ts';
import type { Sandbox } from '../support/sandbox.ts';
import { findMissingPrograms } from '../support/secret-service.ts';
import { faultHostNames, isWithinBars, runFaults } from './campaign-webhooks.ts';
import { withToolSandbox, type ToolStore } from './tool-sandbox.ts';

/**
 * `npm run campaign [PART…]`: the figures at the end of the security requirements, at a size that takes long.
 * Every part prints lines of figures; one that must be 0 and is not makes the exit code 1.
 *
 * `refresh`: `GITLINK_CAMPAIGN_ROUNDS` (default 50) rounds of 64 processes at expiry, and `GITLINK_CAMPAIGN_KILLS`
 * (default 200) kills of the renewing process at random moments, of `GITLINK_CAMPAIGN_SEED` (default 1).
 *
 * `webhooks`: a rotation over `GITLINK_CAMPAIGN_REPOSITORIES` (default 5,000) repositories at a host in trouble, killed
 * ten times. Its figure of memory is that of a machine with a keychain; the encrypted file takes 32 MB more.
 */

type Figures = Readonly<Record<string, string | number>>;

interface Result {
  readonly figures: Figures;
  readonly isGood: boolean;
}

const parts: Readonly<Record<string, () => AsyncGenerator<Result>>> = { refresh, webhooks };

const rounds = readNumber('GITLINK_CAMPAIGN_ROUNDS', 50);
const kills = readNumber('GITLINK_CAMPAIGN_KILLS', 200);
const seed = readNumber('GITLINK_CAMPAIGN_SEED', 1);
const random = createSeededRandom(seed);
const bulkKills = 10;
const stores: readonly [ToolStore, ...ToolStore[]] =
  findMissingPrograms().length > 0 ? ['file'] : ['keychain', 'file'];

async function* refresh(): AsyncGenerator<Result> {
  for (const store of stores) {
    for (const name of hostNames) {
      yield await withLink(store, name, (sandbox, host) => burst(sandbox, host, store));
      yield await withLink(store, name, (sandbox, host) => killAtRandom(sandbox, host, store));
    }
  }
}

/** 64 processes at expiry: one refresh and one answer for all, each time. */
async function burst(sandbox: Sandbox, host: RefreshHost, store: string): Promise<Result> {
  let refreshes = 0;
  let wrongAnswers = 0;
  for (let round = 0; round < rounds; round += 1) {
    if (round > 0) await makeDue(sandbox, host);
    const before = host.countAttempts();
    const { passwords, wrong } = await askAtOnce(sandbox, host, 64);
    refreshes += host.countAttempts() - before;
    wrongAnswers += wrong.length + passwords.size - 1;
    for (const line of wrong) process.stderr.write(`${line}\n`);
  }
  return {
    figures: { what: '64 processes at expiry', host: host.name, store, rounds, refreshes, wrongAnswers },
    isGood: refreshes === rounds && wrongAnswers === 0,
  };
}

/** Kills of whoever renews: afterwards the link works, or says that its renewal was interrupted. */
async function killAtRandom(sandbox: Sandbox, host: RefreshHost, store: string): Promise<Result> {
  const counts = { usable: 0, relink: 0, broken: 0, endedBefore: 0 };
  let longestMs = 600;
  for (let kill = 0; kill < kills; kill += 1) {
    if (kill > 0) await makeDue(sandbox, host);
    const startedAt = performance.now();
    const before = host.countRefreshes();
    const run = await sandbox.runScript('git-credential-gitlink.js', ['get'], {
      input: toRequest(toRepositoryUrl(host)),
      onStart: (child) => void delay(random() * longestMs).then(() => child.kill('SIGKILL')),
    });
    if (run.signal === null) {
      counts.endedBefore += 1;
      longestMs = performance.now() - startedAt;
    }
    // The server may still be at it.
    await delay(20);
    const isExchanged = host.countRefreshes() > before;
    const after = await sandbox.run(['repos']);
    if (after.exitCode === 0) {
      counts.usable += 1;
      continue;
    }
    const isHonest = isExchanged && after.exitCode === 4 && after.stderr.includes('interrupted');
    counts[isHonest ? 'relink' : 'broken'] += 1;
    if (!isHonest) process.stderr.write(`${String(after.exitCode)} ${after.stderr}`);
    const relink = await runWithBrowser(sandbox, ['relink', '--method', 'oauth']);
    if (relink.exitCode !== 0) throw new Error(`relink failed: ${relink.stderr}`);
  }
  return {
    figures: { what: 'random kills of a renewal', host: host.name, store, kills, ...counts },
    isGood: counts.broken === 0,
  };
}

/** Runs work in a fresh home with a link whose token is due. */
async function withLink(
  store: ToolStore,
  name: HostName,
  work: (sandbox: Sandbox, host: RefreshHost) => Promise<Result>,
): Promise<Result> {
  const host = await startRefreshHost(name);
  try {
    return await withToolSandbox(store, async (sandbox) => {
      await linkDue(sandbox, host);
      const result = await work(sandbox, host);
      host.assertNoFailures();
      return result;
    });
  } finally {
    await host.close();
  }
}

/** A rotation over thousands of repositories, with every fault at once. */
async function* webhooks(): AsyncGenerator<Result> {
  const repositories = readNumber('GITLINK_CAMPAIGN_REPOSITORIES', 5_000);
  const [store] = stores;
  for (const host of faultHostNames) {
    const figures = await runFaults({ host, store, repositories, kills: bulkKills, seed });
    yield {
      figures: { what: 'rotation in trouble', host, store, ...figures },
      isGood: isWithinBars(host, figures),
    };
  }
}

function readNumber(name: string, preset: number): number {
  return Number(process.env[name] ?? preset);
}

async function main(names: readonly string[]): Promise<void> {
  for (const name of names.length > 0 ? names : Object.keys(parts)) {
    const part = parts[name];
    if (!part) throw new Error(`There is no part "${name}"; there are: ${Object.keys(parts).join(', ')}`);
    const startedAt = performance.now();
    for await (const { figures, isGood } of part()) {
      const line = Object.entries(figures).map(([what, figure]) => `${what} ${figure}`);
      process.stdout.write(`${isGood ? 'good' : 'BAD '}  ${name}  ${line.join('  ')}\n`);
      if (!isGood) process.exitCode = 1;
    }
    process.stdout.write(`      ${name}: ${Math.round((performance.now() - startedAt) / 1000)} s\n`);
  }
}

await main(process.argv.slice(2));
