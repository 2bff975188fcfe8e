import * as v from 'valibot';
import { ForbiddenError, NotFoundError } from '../../errors.ts';
import { isAnswer } from '../../http/host-answer-error.ts';
import { route } from '../../http/route.ts';
import { toPrintable } from '../../printable.ts';
import type { AuditSupport, Connection, InspectedWebhook } from '../audit-support.ts';
import { toMoment, toSafeAddress } from '../connection-parts.ts';
import type { HostAccess } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { ask, narrowList } from './ask.ts';
import { isDelivering, projectOf, readHook, toWebhook, toWebhooks } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { toHooksUrl, toIdentityBase, toTokensUrl } from './pages.ts';
import { listTokens } from './pats.ts';
import { isOwnOrganization, isServer, requireOrganization } from './places.ts';
import * as schemas from './schemas.ts';
import { isEntraKind, servicePrincipalKind } from './scopes.ts';
import { listSubscriptions } from './subscriptions.ts';
import { assertManageable, findPlaceIds, isAt } from './webhook-place.ts';

/**
 * Subscriptions of service hooks with who made them, and the tokens of the person who signed in. Those of others are
 * shown to administrators of tokens alone, one person at a time.
 *
 * @see https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions
 */
export const audit: AuditSupport = { inspectWebhooks, listConnections };

const person = v.nullish(v.object({ uniqueName: v.nullish(v.string()), displayName: v.nullish(v.string()) }));
/** Of any receiver: webhooks are one of many. */
const subscription = v.object({
  ...schemas.subscription.entries,
  consumerId: v.string(),
  actionDescription: v.nullish(v.string()),
  createdBy: person,
});
type Subscription = v.InferOutput<typeof subscription>;

const notification = v.object({ ...schemas.notification.entries, createdDate: v.nullish(v.string(), '') });
/** The history may come in any order, so that more than one is looked at. */
const historySize = 20;

/** Those of one address are one webhook; what gitlink made is kept apart, whole even where events of it are gone. */
async function inspectWebhooks(
  access: HostAccess,
  place: WebhookPlace,
  ownIds: ReadonlySet<string>,
): Promise<readonly InspectedWebhook[]> {
  const ids = await findPlaceIds(access, place);
  const found = (await listSubscriptions(access)).filter((each) => isAt(ids, each));
  const own = [...ownIds].flatMap((hookId) => {
    const members = found.filter(({ id }) => hookId.split('+').includes(id));
    return members.length === 0 ? [] : [{ ...toWebhook(members), id: hookId }];
  });
  // Who may not see them is shown a list without them.
  if (own.length < ownIds.size) await assertManageable(access, ids);
  const known = new Set(own.flatMap(({ id }) => id.split('+')));
  const others = toWebhooks(found.filter(({ id }) => !known.has(id)));
  const inspected: InspectedWebhook[] = [];
  for (const hook of [...own, ...others]) {
    const { subscriptions } = readHook(hook);
    const isSet = (name: string, value: (text: string) => boolean): boolean =>
      subscriptions.every(({ consumerInputs }) => value(consumerInputs?.[name] ?? ''));
    inspected.push({
      ...hook,
      checksCertificate: isSet('acceptUntrustedCerts', (text) => text.toLowerCase() !== 'true'),
      hasSecret: isSet('basicAuthPassword', (text) => text !== ''),
      failure: ownIds.has(hook.id) ? await findFailure(access, hook.id, subscriptions) : null,
    });
  }
  return inspected;
}

async function findFailure(
  access: HostAccess,
  hookId: string,
  subscriptions: readonly schemas.Subscription[],
): Promise<string | null> {
  const count = hookId.split('+').length;
  if (subscriptions.length < count) {
    return `${count - subscriptions.length} of its ${count} events are not delivered any more`;
  }
  for (const each of subscriptions) {
    const newest = await findNewestDelivery(access, each.id);
    if (newest?.result === 'failed') {
      const status = /\b(\d{3})\b/.exec(newest.details?.response ?? '')?.[1];
      return status === undefined
        ? 'the receiver did not answer last'
        : `the receiver answered ${status} last`;
    }
    if (each.status === 'onProbation') return 'deliveries failed, so that the host has it on probation';
  }
  return null;
}

async function findNewestDelivery(
  access: HostAccess,
  id: string,
): Promise<v.InferOutput<typeof notification> | null> {
  const { body } = await ask(access.http, {
    method: 'GET',
    route: route`/${requireOrganization(access)}/_apis/hooks/subscriptions/${id}/notifications`,
    query: { maxResults: historySize, status: 'completed' },
  });
  const found = narrowList(notification, body, 'the deliveries');
  const [newest = null] = [...found].sort((left, right) => toTime(right) - toTime(left));
  return newest;
}

function toTime({ createdDate }: v.InferOutput<typeof notification>): number {
  return toMoment(createdDate) ?? 0;
}

async function* listConnections(
  access: HostAccess,
  organization: string,
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, void, undefined> {
  if (!isOwnOrganization(access, organization)) {
    throw new NotFoundError(`This link is for ${requireOrganization(access)} at ${access.host} alone.`);
  }
  const sees = yield* listHooks(access, onHidden);
  if ((yield* listOwnTokens(access, onHidden)) || sees) return;
  throw new ForbiddenError(`The credential may see nothing that others connected to ${organization}.`, {
    hint: 'Service hooks take an administrator of the project, and own tokens a sign-in with --for admin.',
  });
}

/** Who may not see those of a project is shown a list without them. @returns whether any project's are shown. */
async function* listHooks(
  access: HostAccess,
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, boolean, undefined> {
  const names = new Map<string, string>();
  for await (const { id, name } of endpoints.listProjects(access)) names.set(id.toLowerCase(), name);
  const visible = await endpoints.findManageable(access, [...names.keys()], endpoints.viewHooks);
  const found = visible?.size === 0 ? null : await fetchHooks(access);
  if (found === null) {
    onHidden('service hooks');
    return false;
  }
  if (visible === null) onHidden('which service hooks are kept from it');
  else if (visible.size < names.size) {
    onHidden(`service hooks of ${names.size - visible.size} of ${names.size} projects`);
  }
  const groups = new Map<string, Subscription[]>();
  for (const each of found) {
    const key = [each.consumerId, nameOf(each), projectOf(each), makerOf(each), each.status].join('\0');
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  for (const group of groups.values()) yield* toConnections(access, group, names);
  return true;
}

/** @returns null where the credential may not ask. */
async function fetchHooks(access: HostAccess): Promise<readonly Subscription[] | null> {
  const { status, body } = await ask(access.http, {
    method: 'GET',
    route: route`/${requireOrganization(access)}/_apis/hooks/subscriptions`,
    accept: [203, 401, 403],
  });
  return status === 200 ? narrowList(subscription, body, 'the service hooks') : null;
}

/** @param group - Those that differ in their event and repository alone. */
function* toConnections(
  { host, organization }: HostAccess,
  group: readonly Subscription[],
  names: ReadonlyMap<string, string>,
): Generator<Connection, void, undefined> {
  const [first] = group;
  if (!first) return;
  const project = names.get(projectOf(first) ?? '') ?? null;
  yield {
    kind: 'webhook',
    name: project === null ? nameOf(first) : `${nameOf(first)} in ${project}`,
    owner: makerOf(first),
    powers: [...new Set(group.map(({ eventType }) => eventType))].sort(),
    expiresAt: null,
    lastUsedAt: null,
    isActive: isDelivering(first),
    trouble: troubles[first.status ?? ''] ?? null,
    pageUrl: toHooksUrl(host, project === null ? (organization ?? '') : `${organization ?? ''}/${project}`),
  };
}

const troubles: Readonly<Record<string, string>> = {
  onProbation: 'deliveries failed, so that the host has it on probation',
  disabledBySystem: 'by the host, after too many failed deliveries',
  disabledByInactiveIdentity: 'whoever made it has no access any more',
};

function makerOf({ createdBy }: Subscription): string | null {
  return createdBy?.uniqueName || createdBy?.displayName || null;
}

function nameOf({ consumerId, consumerInputs, actionDescription }: Subscription): string {
  const url = consumerInputs?.['url'] ?? '';
  if (consumerId === 'webHooks' && url !== '') return toSafeAddress(url);
  return toPrintable([consumerId, actionDescription ?? ''].join(' ').trim(), 100);
}

/** @returns whether they are shown. */
async function* listOwnTokens(
  access: HostAccess,
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, boolean, undefined> {
  const { credential, host, organization, account } = access;

  if (isServer(access) || !isEntraKind(credential.kind) || credential.kind === servicePrincipalKind) {
    onHidden('personal access tokens');
    return false;
  }
  let tokens: readonly schemas.PatToken[];
  try {
    tokens = await listTokens(access, await access.openBase(toIdentityBase(host)));
  } catch (error) {
    if (!(error instanceof ForbiddenError) && !isAnswer(error, 404)) {
      throw error;
    }
    onHidden('personal access tokens');
    return false;
  }
  for (const { displayName, scope, validTo } of tokens) {
    yield {
      kind: 'personal-token',
      name: displayName || 'a token without a name',
      owner: account.login,
      powers: (scope ?? '').split(' ').filter(Boolean),
      expiresAt: toMoment(validTo),
      lastUsedAt: null,
      isActive: true,
      pageUrl: toTokensUrl(host, organization),
    };
  }
  onHidden('personal access tokens of others');
  return true;
}
