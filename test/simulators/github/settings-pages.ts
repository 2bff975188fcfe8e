import type { Route } from '../routes.ts';
import { answerPage } from './pages.ts';

/** Pages that gitlink sends people to, on which tests press nothing (`providers/github.md` §2.5). */
const templates = [
  '/settings/apps/new',
  '/organizations/{org}/settings/apps/new',
  '/settings/apps/{slug}',
  '/organizations/{org}/settings/apps/{slug}',
  '/settings/apps/{slug}/advanced',
  '/settings/applications/new',
  '/organizations/{org}/settings/applications/new',
  '/settings/connections/applications/{client_id}',
  '/settings/installations',
  '/settings/personal-access-tokens',
  '/settings/personal-access-tokens/new',
  '/settings/tokens',
  '/settings/tokens/new',
];

export function listSettingsPageRoutes(): Route[] {
  return templates.map((template) => ({
    method: 'GET',
    template,
    undescribed: true,
    handle: () => answerPage(200, 'Settings', ''),
  }));
}
