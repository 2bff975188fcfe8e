import { isAuthError, UsageError, type GitlinkError } from '../errors.ts';
import type { WebhookAdmin, WebhookTest } from '../providers/webhook-support.ts';
import type { Secret } from '../secret.ts';
import { environmentId } from '../store/environment-records.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { openWebhookReadings, removeWebhookReadings } from '../store/webhook-readings.ts';
import { openWebhookJournal, readWebhookJournal } from '../store/webhook-journal.ts';
import { isInstallation } from './is-installation.ts';
import { isForApp, regenerateAppWebhook } from './apps/app-webhook.ts';
import { applyPlanned, testPlanned, type ApplyQuestion, type WebhookResult } from './apply-webhooks.ts';
import { concurrently } from './concurrently.ts';
import { sayHowToContinue } from './continue-webhooks.ts';
import type { OperationContext } from './context.ts';
import { findLink, getLink } from './find-link.ts';
import { whileTrusted, type OpenLink } from './host-access.ts';
import { assertMayChangeWebhooks } from './judge-scopes.ts';
import { findPacing } from './open-anonymous.ts';
import { planPlace, toHookKey, type PlannedWebhook, type WebhookMode } from './plan-webhooks.ts';
import { findPending, noOtherWebhooks, visitOtherWebhooks, type OtherWebhooks } from './other-webhooks.ts';
import { openWithVersion } from './recognise-host.ts';
import { findOwnWebhooks } from './remove-webhooks.ts';
import { runReceiverCommand } from './receiver-command.ts';
import {
  abandonRotation,
  assertHasSecret,
  assertUsableSecret,
  finishRotation,
  forgetTarget,
  keepTarget,
  prepareRotation,
  readCurrentSecret,
  type RotationSecret,
} from './rotation-secret.ts';
import { listPlaces } from './webhook-places.ts';
import { requireWebhooks, settleTarget, type Target, type TargetWish } from './webhook-target.ts';

export interface RegenerateRequest {
  readonly linkName: string;
  readonly mode: WebhookMode;
  readonly target: TargetWish;
  /** Limits the run; both empty for everything that the link may use. */
  readonly namespaces: readonly string[];
  readonly repositories: readonly string[];
  readonly suppliedSecret: Secret | null;
  /** The command line that hands the secret to the receiver. */
  readonly onSecret: string | null;
  readonly dryRun: boolean;
  readonly verify: boolean;
  /** How many places are worked on at once; null for what the host bears. */
  readonly concurrency: number | null;
  readonly onPlan: (plan: readonly PlannedWebhook[]) => void;
  readonly onResult: (result: VerifiedResult, total: number) => void;
}

export type VerifiedResult = WebhookResult & { readonly test: WebhookTest | null };

export interface RegenerateOutcome extends OtherWebhooks {
  readonly link: LinkRecord;
  readonly target: Target;
  readonly results: readonly VerifiedResult[];
  /** Hooks that are not where they shall be yet: elsewhere after a run over a part, or left after a removal. */
  readonly pending: number;
}

/** How long requests under way may take to end after the first Ctrl-C, in milliseconds. */
const graceMs = 10_000;

/**
 * Brings every repository that the link may use to exactly one enabled webhook for the target with a fresh
 * secret: plan, secret first, apply, verify (design, section 8). One failing place does not stop the others.
 */
export async function regenerateWebhooks(
  context: OperationContext,
  request: RegenerateRequest,
): Promise<RegenerateOutcome> {
  if (request.suppliedSecret) assertUsableSecret(request.suppliedSecret);
  const records = context.links.read();
  const named = findLink(records, request.linkName);
  if (isInstallation(named) && isForApp(records, named, request.target)) {
    if (named.id === environmentId) assertSecretSupplied(request);
    return regenerateAppWebhook(context, named, request);
  }
  const { id } = named;
  const work = async (): Promise<RegenerateOutcome> => {
    const link = getLink(context.links.read(), id);
    const grace = startGrace(context.signal);
    try {
      const open = await openWithVersion(context, link, grace.signal);
      return await whileTrusted(context, link, () => regenerate(context, request, open));
    } finally {
      grace.end();
    }
  };
  return request.dryRun ? work() : context.withLock(`webhooks-${id}`, work);
}

async function regenerate(
  context: OperationContext,
  request: RegenerateRequest,
  open: OpenLink,
): Promise<RegenerateOutcome> {
  const { link, provider } = open;
  const admin = requireWebhooks(provider);
  const target = settleTarget(link, provider, admin, await context.openSettings(), request.target);
  const isPart = request.namespaces.length + request.repositories.length > 0;
  const currentItem = link.webhook?.nextSecretItem ?? link.webhook?.secretItem ?? null;
  const secretItem = request.mode === 'repair' ? currentItem : (link.webhook?.nextSecretItem ?? null);

  if (link.id === environmentId) assertSecretSupplied(request);
  if (request.mode === 'repair') assertHasSecret(link);
  if (!request.dryRun) await assertMayChangeWebhooks(open, target.at);
  const plan = await planAll(context, request, open, admin, target, secretItem);
  request.onPlan(plan);
  if (request.dryRun) {
    const results = plan.map((planned) => toPlannedResult(planned));
    return { link, target, results, pending: 0, ...noOtherWebhooks };
  }
  const secret = await chooseSecret(context, request, open, target, plan);
  const results = await applyAll(context, request, { open, admin, target, secret }, plan);
  removeWebhookReadings(context.directories.state, link.id);
  const { vanished, outside } = isPart
    ? noOtherWebhooks
    : await visitOtherWebhooks(context, open, target, plan);
  const isDone = results.every(
    ({ state, test }) => (state === 'confirmed' || state === 'skipped') && test?.outcome !== 'failed',
  );
  const pending = findOwnWebhooks(context, link).filter(
    findPending({ mode: request.mode, isPart, secret, plan }),
  ).length;
  await settle(context, request, link, secret, isDone && pending === 0);
  return { link: getLink(context.links.read(), link.id), target, results, pending, outside, vanished };
}

/** What a run is about: what another one has read says nothing to it. */
function describeRun({ credentialItem }: LinkRecord, { url, nativeEvents, at }: Target): string {
  return [url, at, ...nativeEvents, credentialItem].join(' ');
}

/** What gitlink would make here nobody could read again: nothing of the environment's link is kept. */
function assertSecretSupplied({ mode, suppliedSecret, dryRun }: RegenerateRequest): void {
  if (dryRun || mode === 'remove' || (mode === 'rotate' && suppliedSecret !== null)) return;
  throw new UsageError('The link "env" keeps no secret, so that of the webhooks must be given.', {
    hint: 'Give it with --secret-env VARIABLE, --secret-file FILE, or --with-secret.',
  });
}

async function planAll(
  context: OperationContext,
  request: RegenerateRequest,
  open: OpenLink,
  admin: WebhookAdmin,
  target: Target,
  secretItem: string | null,
): Promise<PlannedWebhook[]> {
  const journal = readWebhookJournal(context.directories.state, open.link.id);
  const earlierUrl = open.link.webhook?.url ?? null;
  const { state } = context.directories;
  if (request.mode !== 'rotate' && !request.dryRun) removeWebhookReadings(state, open.link.id);
  const readings =
    request.mode === 'rotate' && !request.dryRun
      ? openWebhookReadings(state, open.link.id, describeRun(open.link, target), () => context.clock.now())
      : null;
  const ofOthers = findWebhooksOfOthers(context, open.link, target);
  const { mode } = request;
  const question = { open, admin, target, mode, journal, secretItem, earlierUrl, readings, ofOthers };
  const limit = request.concurrency ?? findPacing(open.provider, open.link.host).concurrency;
  const plan: PlannedWebhook[] = [];
  const places = listPlaces(request, open, target);
  for await (const planned of concurrently(places, limit, (place) => planPlace(question, place))) {
    context.signal.throwIfAborted();
    plan.push(planned);
    context.reporter.status(`Reading webhooks… ${plan.length}`);
  }
  return plan.sort((a, b) => (a.label < b.label ? -1 : 1));
}

/** The hooks that other links of the host have for the same address, with the names of those links. */
function findWebhooksOfOthers(
  context: OperationContext,
  { id, host }: LinkRecord,
  { url }: Target,
): ReadonlyMap<string, string> {
  const others = context.links
    .read()
    .links.filter((other) => other.id !== id && other.host === host && other.webhook?.url === url);
  return new Map(
    others.flatMap(({ id: otherId, name }) =>
      [...readWebhookJournal(context.directories.state, otherId).values()].flatMap(
        ({ place, hookId }): [string, string][] =>
          hookId === null ? [] : [[toHookKey(place, hookId), name]],
      ),
    ),
  );
}

/** Stores the secret, and tells the receiver, before anything is sent. */
async function chooseSecret(
  context: OperationContext,
  request: RegenerateRequest,
  open: OpenLink,
  target: Target,
  plan: readonly PlannedWebhook[],
): Promise<RotationSecret | null> {
  if (request.mode === 'remove') return null;
  if (request.mode === 'repair') {
    const secret = await readCurrentSecret(context, open.link);
    await keepTarget(context, open.link, target);
    return secret;
  }
  const isNothingToSend = plan.every(({ action }) => action === 'skip');
  if (isNothingToSend && !open.link.webhook?.nextSecretItem) return null;
  const secret = await prepareRotation(context, open.link, target, request.suppliedSecret);
  if (request.onSecret !== null) {
    try {
      context.reporter.status('Telling the receiver…');
      await runReceiverCommand(context, request.onSecret, 'new', secret.value);
    } catch (error) {
      const isFresh = open.link.webhook?.nextSecretItem !== secret.item;
      if (isFresh) await abandonRotation(context, open.link, secret.item);
      throw error;
    }
  }
  return secret;
}

async function applyAll(
  context: OperationContext,
  request: RegenerateRequest,
  parts: Pick<ApplyQuestion, 'open' | 'admin' | 'target' | 'secret'>,
  plan: readonly PlannedWebhook[],
): Promise<VerifiedResult[]> {
  const journal = await openWebhookJournal(context.directories.state, parts.open.link.id);
  const question: ApplyQuestion = { ...parts, journal, now: () => context.clock.now() };
  const limit = request.concurrency ?? findPacing(parts.open.provider, parts.open.link.host).concurrency;
  const results: VerifiedResult[] = [];
  const refusals: GitlinkError[] = [];

  const work = async (planned: PlannedWebhook): Promise<VerifiedResult> => {
    context.signal.throwIfAborted();
    if (refusals[0]) return notTried(planned, refusals[0]);
    try {
      const result = await applyPlanned(question, planned);
      const isThere = result.state === 'confirmed' && result.hookId !== null && request.mode !== 'remove';
      const test =
        request.verify && isThere && result.hookId !== null
          ? await testPlanned(question, planned, result.hookId)
          : null;
      return { ...result, test };
    } catch (error) {
      // A credential that the host refuses will be refused everywhere: stop asking.
      if (!isAuthError(error)) throw error;
      refusals.push(error);
      return notTried(planned, error);
    }
  };
  try {
    for await (const result of concurrently(plan, limit, work)) {
      results.push(result);
      request.onResult(result, plan.length);
    }
  } catch (error) {
    if (context.signal.aborted) context.reporter.warn(`Stopped on the way. ${sayHowToContinue(request)}`);
    throw error;
  } finally {
    await journal.close();
  }
  if (refusals[0]) throw refusals[0];
  return results.sort((a, b) => (a.repository < b.repository ? -1 : 1));
}

function notTried(planned: PlannedWebhook, error: GitlinkError): VerifiedResult {
  const { label: repository, action, hook } = planned;
  return {
    repository,
    action,
    state: 'failed',
    reason: `not tried: ${error.message}`,
    hookId: hook?.id ?? null,
    test: null,
  };
}

function toPlannedResult(planned: PlannedWebhook): VerifiedResult {
  const { label: repository, action, reason, hook } = planned;
  const state = action === 'skip' ? (planned.isFault ? 'failed' : 'skipped') : 'planned';
  return { repository, action, state, reason, hookId: hook?.id ?? null, test: null };
}

/** Ends a rotation when every hook is confirmed: the receiver forgets the previous secret, then gitlink does. */
async function settle(
  context: OperationContext,
  request: RegenerateRequest,
  { id }: LinkRecord,
  secret: RotationSecret | null,
  isComplete: boolean,
): Promise<void> {
  const link = getLink(context.links.read(), id);
  if (!isComplete) return;
  if (request.mode === 'remove') {
    await forgetTarget(context, link);
    return;
  }
  if (secret === null || link.webhook?.nextSecretItem !== secret.item) return;
  if (request.onSecret !== null) await runReceiverCommand(context, request.onSecret, 'retire', secret.value);
  await finishRotation(context, link);
}

/** Ctrl-C stops new work at once, and gives the requests under way a little time to end. */
function startGrace(signal: AbortSignal): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => controller.abort(signal.reason), graceMs);
  };
  if (signal.aborted) controller.abort(signal.reason);
  else signal.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}
