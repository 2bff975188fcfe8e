import type { GiteaBehaviour } from './behaviour.ts';

const singleEvents = [
  'create',
  'delete',
  'fork',
  'push',
  'repository',
  'release',
  'package',
  'wiki',
  'status',
];
const issueEvents = ['issue_assign', 'issue_label', 'issue_milestone', 'issue_comment'];
const pullRequestEvents = [
  'pull_request_assign',
  'pull_request_label',
  'pull_request_milestone',
  'pull_request_comment',
  'pull_request_review',
  'pull_request_review_request',
  'pull_request_sync',
];

/**
 * Turns the events of a request into the internal names that the server keeps (`providers/gitea.md` §5): groups
 * are opened, unknown names dropped without a word, and nothing at all means `push`.
 */
export function toInternalEvents(behaviour: GiteaBehaviour, events: readonly string[]): readonly string[] {
  const asked = new Set((events.length === 0 ? ['push'] : events).map((event) => event.toLowerCase()));
  const known = singleEvents.filter((event) => event !== 'status' || behaviour.flavour === 'gitea');
  const internal = [
    ...[...known, ...behaviour.actionEvents].filter((event) => asked.has(event)),
    ...expandGroup(asked, 'issues', 'issues_only', issueEvents),
    ...expandGroup(asked, 'pull_request', 'pull_request_only', pullRequestEvents),
  ];
  return behaviour.expandsReviewEvent ? internal.flatMap(expandReview) : internal;
}

/** The servers that do this tie comments of a review to `pull_request_comment`, not to `pull_request_review`. */
function expandReview(event: string): readonly string[] {
  if (event === 'pull_request_review')
    return ['pull_request_review_approved', 'pull_request_review_rejected'];
  return event === 'pull_request_comment' ? [event, 'pull_request_review_comment'] : [event];
}

/** `issues` alone is the whole group when asked for, but one event of it when read back. */
function expandGroup(
  asked: ReadonlySet<string>,
  group: string,
  only: string,
  members: readonly string[],
): readonly string[] {
  const isWhole = asked.has(group);
  return [
    ...(isWhole || asked.has(only) ? [group] : []),
    ...members.filter((event) => isWhole || asked.has(event)),
  ];
}
