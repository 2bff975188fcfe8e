import type { PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { toErrorAnswer } from './call.ts';

/** Lists over all workspaces, gone since April 2026 (`providers/bitbucket.md` §4). */
const removed = [
  '/2.0/repositories',
  '/2.0/workspaces',
  '/2.0/user/permissions/workspaces',
  '/2.0/user/permissions/repositories',
  '/2.0/snippets',
  '/2.0/pullrequests/{selected_user}',
];

/** Nobody is asked who they are here. */
export function listRemovedRoutes(): Route[] {
  return removed.map((template) => ({ method: 'GET', template, handle: answerGone, undescribed: true }));
}

function answerGone({ recordFailure }: SimulatorRequest): PlainAnswer {
  recordFailure('a list that was removed');
  return toErrorAnswer(410, 'CHANGE-2770 - Functionality has been deprecated', {
    detail: 'This API is no longer supported.',
    data: { announcement_url: 'https://developer.atlassian.com/cloud/bitbucket/changelog#CHANGE-2770' },
  });
}
