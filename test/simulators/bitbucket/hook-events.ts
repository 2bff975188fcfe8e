import type { Route } from '../routes.ts';
import { refuse, type Api, type Call } from './call.ts';
import type { HookPlace } from './hook-state.ts';
import { answerPage } from './paging.ts';
import { nothing, type Need } from './scopes.ts';

const everywhere = [
  'repo:push',
  'repo:fork',
  'repo:updated',
  'repo:imported',
  'repo:transfer',
  'repo:commit_comment_created',
  'repo:commit_status_created',
  'repo:commit_status_updated',
  'pullrequest:created',
  'pullrequest:updated',
  'pullrequest:push',
  'pullrequest:approved',
  'pullrequest:unapproved',
  'pullrequest:changes_request_created',
  'pullrequest:changes_request_removed',
  'pullrequest:fulfilled',
  'pullrequest:rejected',
  'pullrequest:comment_created',
  'pullrequest:comment_updated',
  'pullrequest:comment_deleted',
  'pullrequest:comment_resolved',
  'pullrequest:comment_reopened',
  'issue:created',
  'issue:updated',
  'issue:comment_created',
  'pipeline:span_created',
];

/** What hooks may listen to, by where they hang. Which ones only workspaces have is a guess. */
export const catalogue: Readonly<Record<HookPlace['level'], readonly string[]>> = {
  repository: everywhere,
  workspace: [...everywhere, 'repo:created', 'repo:deleted', 'project:updated'],
};

/** Read access to what the events tell about. */
export function needOfEvents(events: readonly string[]): Need {
  const families = [...new Set(events.map((event) => event.split(':')[0] ?? ''))].map((family) =>
    family === 'repo' ? 'repository' : family,
  );
  return { classic: families, api: families.map((family) => `read:${family}:bitbucket`) };
}

/** The catalogue, for everybody. */
export function listHookEventRoutes(api: Api): Route[] {
  return [
    { method: 'GET', template: '/2.0/hook_events', handle: api(nothing, listSubjects) },
    { method: 'GET', template: '/2.0/hook_events/{subject_type}', handle: api(nothing, listEvents) },
  ];
}

function listSubjects({ apiUrl }: Call) {
  const links = (level: string) => ({ links: { events: { href: `${apiUrl()}/hook_events/${level}` } } });
  return { status: 200, json: { repository: links('repository'), workspace: links('workspace') } };
}

function listEvents(call: Call) {
  const level = call.request.params['subject_type'];
  if (level !== 'repository' && level !== 'workspace') throw refuse(404, 'Resource not found');
  return answerPage(call, catalogue[level], (event) => ({
    category: event.startsWith('repo:') ? 'Repository' : (event.split(':')[0] ?? ''),
    event,
    label: event.split(':')[1] ?? '',
    description: `Whenever ${event} happens`,
  }));
}
