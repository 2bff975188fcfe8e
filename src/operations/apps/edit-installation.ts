import { AuthError } from '../../errors.ts';
import type { Installation } from '../../providers/app-support.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { updateLink } from '../change-link.ts';
import type { OperationContext } from '../context.ts';
import { getLink } from '../find-link.ts';
import { openLink } from '../host-access.ts';
import { findInstallation, withInstallation } from './installations.ts';
import { requireInstallation } from './mint-token.ts';
import { openAppOf } from './open-app.ts';

/** What an installation reaches now. */
export interface InstallationState {
  readonly installation: Installation;
  /** The full names of its repositories by id; the first ones only, where there are very many. */
  readonly repositories: ReadonlyMap<string, string>;
}

/** What a person changed at the host. */
export interface InstallationChange {
  readonly link: LinkRecord;
  readonly isSelective: boolean;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** The host is asked every few seconds, so lists are read no further than this. */
const listedLimit = 500;
const pollMs = 4_000;

/**
 * Reads what a link's installation reaches.
 *
 * @throws NotFoundError when the app is not installed there any more.
 */
export async function readInstallation(
  context: OperationContext,
  link: LinkRecord,
): Promise<InstallationState> {
  const installation = await findInstallation(await openAppOf(context, link), requireInstallation(link));
  const repositories = new Map<string, string>();
  if (installation.isSuspended) return { installation, repositories };
  const { provider, access } = await openLink(context, link);
  for await (const { id, fullName } of provider.listRepositories(access, null)) {
    repositories.set(id, fullName);
    if (repositories.size >= listedLimit) break;
  }
  return { installation, repositories };
}

/**
 * Waits until a person has changed the installation on its page.
 *
 * @throws AuthError when the time is over.
 */
export async function waitForChange(
  context: OperationContext,
  link: LinkRecord,
  before: InstallationState,
  timeoutMs: number,
): Promise<InstallationChange> {
  const giveUpAt = context.clock.monotonic() + timeoutMs;
  while (context.clock.monotonic() < giveUpAt) {
    await context.clock.sleep(pollMs, context.signal);
    const now = await readInstallation(context, link);
    const change = compare(before, now);
    if (change === null) continue;
    await updateLink(context, link.id, (current) =>
      withInstallation(current, now.installation, context.clock.now()),
    );
    return { link: getLink(context.links.read(), link.id), ...change };
  }
  throw new AuthError('Nothing was changed at the host in time.', {
    hint: `What is saved there later counts as well. To see it: gitlink repos ${link.name}`,
  });
}

function compare(before: InstallationState, now: InstallationState): Omit<InstallationChange, 'link'> | null {
  const added = [...now.repositories].filter(([id]) => !before.repositories.has(id)).map(([, name]) => name);
  const removed = [...before.repositories]
    .filter(([id]) => !now.repositories.has(id))
    .map(([, name]) => name);
  const { isSelective, isSuspended } = now.installation;
  const isSame =
    isSelective === before.installation.isSelective && isSuspended === before.installation.isSuspended;
  return isSame && added.length + removed.length === 0 ? null : { isSelective, added, removed };
}
