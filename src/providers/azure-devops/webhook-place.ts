import { ForbiddenError } from '../../errors.ts';
import { createHiddenError } from '../hidden-error.ts';
import type { HostAccess } from '../provider.ts';
import type { WebhookPlace } from '../webhook-support.ts';
import { isDelivering, projectOf, repositoryOf, urlOf } from './convert.ts';
import * as endpoints from './endpoints.ts';
import { recall } from './memory.ts';
import { isOwnOrganization } from './places.ts';
import type * as schemas from './schemas.ts';

/** Where subscriptions hang, by ids, which survive renames. */
export interface PlaceIds {
  readonly projectId: string;
  /** Null for all repositories of the project. */
  readonly repositoryId: string | null;
}

/**
 * Finds the ids of a place.
 *
 * @throws ForbiddenError for a place that the credential does not see, or that has no webhooks.
 */
export async function findPlaceIds(access: HostAccess, place: WebhookPlace): Promise<PlaceIds> {
  if (place.level === 'repository') {
    const { id } = place.repository;
    const known = recall(access).projectIds.get(id);
    if (known !== undefined) return { projectId: known, repositoryId: id };
    const found = await endpoints.findRepository(access, null, id);
    if (found === null) throw createHiddenError(place.repository.fullName);
    return { projectId: found.project.id, repositoryId: id };
  }
  const [organization, name, ...more] = place.namespace.split('/');
  if (!name || more.length > 0 || !isOwnOrganization(access, organization)) {
    throw new ForbiddenError('Azure DevOps has webhooks of projects and repositories only', {
      hint: 'Use --at repositories',
    });
  }
  const found = await endpoints.findProject(access, name);
  if (found === null) throw createHiddenError(place.namespace);
  return { projectId: found.id, repositoryId: null };
}

/** Whether a subscription hangs there. One of a whole project is not of each of its repositories. */
export function isAt({ projectId, repositoryId }: PlaceIds, subscription: schemas.Subscription): boolean {
  return repositoryId === null
    ? repositoryOf(subscription) === null && projectOf(subscription) === projectId.toLowerCase()
    : repositoryOf(subscription) === repositoryId.toLowerCase();
}

/**
 * Refuses to have events delivered twice: a webhook of a project hears of all its repositories, so one of a
 * repository beside it would tell everything again, and the other way round.
 *
 * @throws ForbiddenError
 */
export function assertNoOverlap(
  { projectId, repositoryId }: PlaceIds,
  subscriptions: readonly schemas.Subscription[],
  url: string,
  events: readonly string[],
): void {
  const isSame = (each: schemas.Subscription): boolean =>
    urlOf(each) === url &&
    events.includes(each.eventType) &&
    isDelivering(each) &&
    projectOf(each) === projectId.toLowerCase();
  const others = subscriptions.filter(
    (each) => isSame(each) && (repositoryOf(each) === null) === (repositoryId !== null),
  );
  if (others.length === 0) return;
  if (repositoryId !== null) {
    throw new ForbiddenError(
      'a webhook of the whole project already delivers to this address, so that every event would arrive twice',
      {
        hint: 'Use --at namespace, or remove that webhook: gitlink regenerate-webhooks --remove --at namespace',
      },
    );
  }
  const count = new Set(others.map(repositoryOf)).size;
  throw new ForbiddenError(
    `${count === 1 ? 'a repository' : `${count} repositories`} of this project already deliver to this address, so that their events would arrive twice`,
    { hint: 'Remove those webhooks first: gitlink regenerate-webhooks --remove --at repositories' },
  );
}

/** @throws ForbiddenError where the credential may not see and change webhooks: it is shown none that there are. */
export async function assertManageable(access: HostAccess, { projectId }: PlaceIds): Promise<void> {
  const manageable = await endpoints.findManageable(access, [projectId]);
  if (manageable === null || manageable.has(projectId)) return;
  throw new ForbiddenError('the account may not manage the webhooks of this project');
}
