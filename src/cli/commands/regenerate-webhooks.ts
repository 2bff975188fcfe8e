import { exitCodes, UsageError } from '../../errors.ts';
import { isForApp } from '../../operations/apps/app-webhook.ts';
import { sayHowToContinue } from '../../operations/continue-webhooks.ts';
import {
  regenerateWebhooks,
  type RegenerateOutcome,
  type RegenerateRequest,
  type VerifiedResult,
} from '../../operations/regenerate-webhooks.ts';
import type { WebhookMode } from '../../operations/plan-webhooks.ts';
import { assertDeliverable } from '../../operations/webhook-target.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { readGivenSecret } from '../credential-flags.ts';
import { environmentId } from '../../store/environment-records.ts';
import { collectList, createChoice, createCommand, type Cli } from '../program.ts';
import { createRateMeter } from '../rate-meter.ts';
import type { Session } from '../session.ts';
import { printTable, type Column } from '../table.ts';

interface RegenerateFlags {
  readonly url?: string;
  readonly events?: readonly string[];
  readonly at?: 'repositories' | 'namespace' | 'app';
  readonly namespace?: readonly string[];
  readonly repo?: readonly string[];
  readonly withSecret?: boolean;
  readonly secretFile?: string;
  readonly secretEnv?: string;
  readonly onSecret?: string;
  readonly dryRun?: boolean;
  readonly repair?: boolean;
  readonly remove?: boolean;
  readonly verify?: boolean;
  readonly concurrency?: string;
  readonly allowHttp?: boolean;
}

const columns: readonly Column<VerifiedResult>[] = [
  { header: 'REPOSITORY', cell: ({ repository }) => repository, least: 20 },
  { header: 'ACTION', cell: ({ action }) => action },
  {
    header: 'STATE',
    cell: ({ state }) => state,
    style: ({ state }, styles) =>
      state === 'failed' || state === 'unknown'
        ? styles.bad
        : state === 'skipped'
          ? styles.doubtful
          : styles.good,
  },
  { header: 'REASON', cell: describeReason, least: 12 },
];

export function registerRegenerateWebhooks(cli: Cli): void {
  createCommand(cli, 'regenerate-webhooks', 'One working webhook with a fresh secret in every repository', [
    ['gitlink regenerate-webhooks gitea --url https://ci.acme.dev/hook', 'make or renew the webhooks'],
    ['gitlink regenerate-webhooks gitea --dry-run', 'only show what would be done'],
    [
      "gitlink regenerate-webhooks gitea --on-secret './deploy-secret.sh'",
      'hand the secret to the receiver first',
    ],
    ['gitlink regenerate-webhooks gitea --repair', 'keep the secret, mend what is wrong'],
    ['gitlink regenerate-webhooks gitea --remove', "take gitlink's webhooks away"],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .option('--url <url>', 'where to deliver to')
    .option('--events <events>', 'push, tag, pull-request, comment, release, native:<name>', collectList)
    .addOption(createChoice('--at <level>', 'where the hooks hang', ['repositories', 'namespace', 'app']))
    .option('--namespace <namespace>', 'only in this namespace (repeatable)', collectList)
    .option('--repo <owner/name>', 'only in this repository (repeatable)', collectList)
    .option('--with-secret', 'read the secret from standard input')
    .option('--secret-file <file>', 'read the secret from a file')
    .option('--secret-env <variable>', 'read the secret from an environment variable')
    .option(
      '--on-secret <command>',
      'give the secret to this command, before (GITLINK_PHASE=new) and after (retire)',
    )
    .option('--dry-run', 'only show what would be done')
    .option('--repair', 'keep the secret and change nothing that is right')
    .option('--remove', "take gitlink's webhooks away")
    .option('--verify', 'after the change, have the host send a test delivery')
    .option('--concurrency <number>', 'how many repositories at once')
    .option('--allow-http', 'accept a receiver without TLS')
    .action((name: string | undefined, flags: RegenerateFlags) =>
      cli.run('regenerate-webhooks', (session) => run(session, name, flags)),
    );
}

async function run(session: Session, name: string | undefined, flags: RegenerateFlags): Promise<number> {
  const { context, output, reporter, runtime } = session;
  const mode = readMode(flags);
  const suppliedSecret = await readGivenSecret(session, 'webhook secret', {
    isPiped: flags.withSecret === true,
    file: flags.secretFile,
    variable: flags.secretEnv,
  });
  const link = await session.chooseLink(name);
  const isOfApp = isForApp(context.links.read(), link, { at: flags.at ?? null });
  if (mode === 'remove' && link.webhook === null && flags.url === undefined && !isOfApp) {
    reporter.note(`"${link.name}" has no webhooks.`);
    output.document({ target: null, results: [], summary: summarise([]) });
    return exitCodes.done;
  }
  const url = mode === 'rotate' && !isOfApp ? await chooseUrl(session, link, flags) : flags.url;
  const meter = createRateMeter(runtime.clock);
  const showsEach = session.isVerbose;
  let done = 0;
  const request: RegenerateRequest = {
    linkName: link.name,
    mode,
    target: {
      url: url ?? null,
      events: flags.events ?? null,
      at: flags.at ?? null,
      allowHttp: flags.allowHttp === true,
    },
    namespaces: flags.namespace ?? [],
    repositories: flags.repo ?? [],
    suppliedSecret,
    onSecret: flags.onSecret ?? null,
    dryRun: flags.dryRun === true,
    verify: flags.verify === true,
    concurrency: await readConcurrency(session, flags.concurrency),
    onPlan: (plan) => reporter.status(`Changing webhooks… 0 of ${plan.length}`),
    onResult: (result, total) => {
      done += 1;
      if (showsEach)
        reporter.note(`${result.repository}: ${result.action}, ${result.state} ${describeReason(result)}`);
      reporter.status(`Changing webhooks… ${done} of ${total}${meter.describe(done, total)}`);
    },
  };
  const outcome = await regenerateWebhooks(context, request);
  reporter.clear();
  const { target, results } = outcome;
  const summary = summarise(results);
  output.document({
    target: { url: target.url, events: target.events, at: target.at },
    results: results.map(toResultDocument),
    summary,
  });
  printTable(session.output, session.styles, columns, results);
  explain(session, outcome, request);
  return summary.failed + summary.unknown > 0 || countFailedTests(results) > 0
    ? exitCodes.partial
    : exitCodes.done;
}

function readMode(flags: RegenerateFlags): WebhookMode {
  if (flags.repair === true && flags.remove === true)
    throw new UsageError('--repair and --remove exclude each other.');
  if (flags.remove === true && flags.verify === true) {
    throw new UsageError('--remove leaves no webhook that --verify could test.', {
      hint: 'Leave --verify out: it tests what is there after the change.',
    });
  }
  const supplies = [flags.withSecret, flags.secretFile, flags.secretEnv].filter((each) => each !== undefined);
  const mode = flags.repair === true ? 'repair' : flags.remove === true ? 'remove' : 'rotate';
  if (mode !== 'rotate' && supplies.length + (flags.onSecret === undefined ? 0 : 1) > 0) {
    throw new UsageError(`--${mode} changes no secret, so none can be given.`);
  }
  return mode;
}

/**
 * In a terminal the URL is asked for where nobody has said it.
 *
 * @returns undefined for the one that the link or the preferences have.
 */
async function chooseUrl(
  { context, prompter, reporter }: Session,
  { webhook }: LinkRecord,
  { url, allowHttp }: RegenerateFlags,
): Promise<string | undefined> {
  const isKnown = url !== undefined || webhook !== null;
  if (isKnown || !prompter.canAsk || (await context.openSettings()).get('webhook-url') !== null) return url;
  for (;;) {
    const answer = await prompter.ask(
      'Where shall the webhooks deliver to? (such as https://ci.acme.dev/hook)',
      '--url',
    );
    try {
      return assertDeliverable(answer, allowHttp === true);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      reporter.warn(`${error.message} ${error.hint ?? ''}`);
    }
  }
}

async function readConcurrency(session: Session, flag: string | undefined): Promise<number | null> {
  const text = flag ?? (await session.context.openSettings()).get('concurrency');
  if (text === null) return null;
  if (/^([1-9]|[1-5]\d|6[0-4])$/.test(text)) return Number(text);
  throw new UsageError('--concurrency takes a number from 1 to 64.');
}

function describeReason({ reason, test }: VerifiedResult): string {
  const tested =
    test === null ? null : 'reason' in test ? `test ${test.outcome}: ${test.reason}` : `test ${test.outcome}`;
  return [reason, tested].filter((part) => part !== null).join('; ');
}

function toResultDocument(result: VerifiedResult): object {
  const { repository, action, state, hookId } = result;
  return { repository, action, state, reason: describeReason(result) || null, hookId };
}

function countFailedTests(results: readonly VerifiedResult[]): number {
  return results.filter(({ test }) => test?.outcome === 'failed').length;
}

interface Summary {
  readonly created: number;
  readonly rotated: number;
  readonly repaired: number;
  readonly removed: number;
  readonly unchanged: number;
  readonly skipped: number;
  readonly failed: number;
  readonly unknown: number;
}

function summarise(results: readonly VerifiedResult[]): Summary {
  const count = (isCounted: (result: VerifiedResult) => boolean): number => results.filter(isCounted).length;
  const isDone = ({ state }: VerifiedResult): boolean => state === 'confirmed' || state === 'planned';
  return {
    created: count((each) => isDone(each) && each.action === 'create'),
    rotated: count((each) => isDone(each) && (each.action === 'rotate' || each.action === 'adopt')),
    repaired: count((each) => isDone(each) && each.action === 'repair'),
    removed: count((each) => isDone(each) && each.action === 'remove'),
    unchanged: count((each) => isDone(each) && each.action === 'unchanged'),
    skipped: count(({ state }) => state === 'skipped'),
    failed: count(({ state }) => state === 'failed'),
    unknown: count(({ state }) => state === 'unknown'),
  };
}

function explain(session: Session, outcome: RegenerateOutcome, request: RegenerateRequest): void {
  const { reporter } = session;
  const { link, results, pending, outside, vanished } = outcome;
  const { mode, dryRun: isDryRun } = request;
  const summary = summarise(results);
  const parts = Object.entries(summary).filter(([, count]) => (count as number) > 0);
  const places = outcome.target.at === 'namespace' ? 'organization or group' : 'repository';
  if (results.length === 0) reporter.note(`There is no ${places} that this link may use.`);
  else
    reporter.note(
      `${isDryRun ? 'Planned: ' : ''}${parts.map(([word, count]) => `${String(count)} ${word}`).join(', ')}.`,
    );
  if (isDryRun) return;
  if (summary.failed + summary.unknown > 0) {
    reporter.warn(`Not everything worked. ${sayHowToContinue(request)}`);
  } else if (pending > 0) {
    if (mode !== 'remove') {
      reporter.note(
        `${pending} hooks elsewhere still have the previous secret. To finish: gitlink regenerate-webhooks ${link.name}`,
      );
    } else if (request.namespaces.length + request.repositories.length === 0) {
      const hooks = `${pending} webhook${pending === 1 ? '' : 's'} of gitlink`;
      reporter.warn(`${hooks} could not be removed and stay known: gitlink show ${link.name}`);
    }
  }
  const failedTests = countFailedTests(results);
  if (failedTests > 0) {
    const deliveries = `${failedTests} test ${failedTests === 1 ? 'delivery' : 'deliveries'}`;
    reporter.warn(`${deliveries} failed; ${explainFailedTests(outcome, request)}`);
  }
  if (vanished.length > 0) {
    reporter.warn(
      `The host does not show these webhooks of gitlink any more, so that they are forgotten: ${vanished.join(', ')}.`,
    );
  }
  if (outside.length > 0) {
    reporter.warn(
      `Webhooks of gitlink that were not touched, because they are out of reach or at another level: ${outside.join(', ')}. What they have: gitlink webhook-secret ${link.name} --previous`,
    );
  }
  // Whoever uses the environment's link has given the secret, and gitlink keeps none of it.
  const isSecretMade = mode === 'rotate' && link.id !== environmentId;
  if (isSecretMade && summary.created + summary.rotated > 0 && request.onSecret === null) {
    reporter.note(`The receiver needs the secret: gitlink webhook-secret ${link.name}`);
  }
}

/** GitHub's words for a receiver that it did not reach, and gitlink's own for those of other hosts. */
const unreached = /^the receiver did not answer|failed to connect|timed out|timeout|resolve host/i;

/** Why the tests failed, as far as it can be told, and what to do: a secret is not at fault where nobody answered. */
function explainFailedTests(
  { link, target, results }: RegenerateOutcome,
  request: RegenerateRequest,
): string {
  const isEnvironments = link.id === environmentId;
  const isAnswered = results.some(
    ({ test }) =>
      test?.outcome === 'delivered' || (test?.outcome === 'failed' && !unreached.test(test.reason)),
  );
  const kept = 'the webhooks and their secrets are in place.';
  const previous = isEnvironments ? '' : ' The previous one is kept until a run ends without a failure.';
  // Of an app's webhook the newest delivery is read, and none is sent.
  if (isAnswered || target.at === 'app') return `${kept} Does the receiver know the new secret?${previous}`;
  const move = `gitlink regenerate-webhooks ${link.name} --url URL`;
  const check = `no receiver answered, and ${kept} Check the address; for another: ${move}`;
  if (isEnvironments) return `${check}; else run the same command again.`;
  const ownTarget = { url: null, events: null, at: null, allowHttp: false };
  const again = { ...request, mode: 'repair', target: ownTarget, onSecret: null, verify: true } as const;
  return `${check}. ${sayHowToContinue(again)}`;
}
