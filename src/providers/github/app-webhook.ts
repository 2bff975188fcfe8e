import { route } from '../../http/route.ts';
import type { Secret } from '../../secret.ts';
import type { AppAccess, AppWebhook } from '../app-support.ts';
import { narrow } from '../narrow.ts';
import type { WebhookTest } from '../webhook-support.ts';
import { openAsApp } from './ask-as-app.ts';
import * as schemas from './schemas.ts';
import { judgeDelivery } from './webhooks.ts';
import * as v from 'valibot';

/** @see https://docs.github.com/rest/apps/webhooks */
export async function readWebhook(access: AppAccess): Promise<AppWebhook | null> {
  const { status, body } = await openAsApp(access).request({
    method: 'GET',
    route: route`/app/hook/config`,
    accept: [404],
  });
  if (status === 404) return null;
  const { url, secret } = narrow(schemas.hookConfig, body, "the App's webhook");
  return url ? { url, hasSecret: Boolean(secret) } : null;
}

export async function changeWebhook(
  access: AppAccess,
  { url, secret }: { readonly url: string; readonly secret: Secret },
): Promise<void> {
  await openAsApp(access).request({
    method: 'PATCH',
    route: route`/app/hook/config`,
    json: { url, secret, content_type: 'json' },
  });
}

export async function readNewestDelivery(access: AppAccess): Promise<WebhookTest> {
  const { body } = await openAsApp(access).request({
    method: 'GET',
    route: route`/app/hook/deliveries`,
    query: { per_page: 1 },
  });
  const [newest] = narrow(v.array(schemas.delivery), body, 'the deliveries');
  return newest
    ? judgeDelivery(newest)
    : { outcome: 'untestable', reason: 'GitHub has delivered nothing yet, and sends no tests for Apps' };
}
