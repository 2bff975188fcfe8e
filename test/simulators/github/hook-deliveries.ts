import type { PlainAnswer, Route } from '../routes.ts';
import { readBody, refuse, refuseNotFound, requireApp } from './call.ts';
import type { Api, Call, Need } from './call.ts';
import { readConfig } from './hook-fields.ts';
import { toConfigJson, toDeliveryJson, toWholeDeliveryJson } from './hook-json.ts';
import type { GithubHook, HookDelivery } from './hook-state.ts';
import { answerByCursor } from './paging.ts';

type FindHook = (call: Call, action: 'read' | 'write') => GithubHook;

/** How long deliveries are kept. */
const historyMs = 3 * 86_400_000;

/** The deliveries of a hook, of whatever level, below its path. */
export function listDeliveryRoutes(
  api: Api,
  path: string,
  need: (action: 'read' | 'write', anchor: string) => Need,
  find: FindHook,
): Route[] {
  const one = `${path}/deliveries/{delivery_id}`;
  return [
    {
      method: 'GET',
      template: `${path}/deliveries`,
      handle: api(need('read', 'list-deliveries'), (call) => list(call, find(call, 'read'))),
    },
    {
      method: 'GET',
      template: one,
      handle: api(need('read', 'get-a-delivery'), (call) => ({
        status: 200,
        json: toWholeDeliveryJson(requireDelivery(call, find(call, 'read'))),
      })),
    },
    {
      method: 'POST',
      template: `${one}/attempts`,
      handle: api(need('write', 'redeliver-a-delivery'), (call) => {
        const hook = find(call, 'write');
        call.deliveries.repeat(hook, requireDelivery(call, hook));
        return { status: 202, json: {} };
      }),
    },
  ];
}

/** The one webhook of an app (`providers/github.md` §5.3). */
export function listAppHookRoutes(api: Api): Route[] {
  const need = (_: unknown, anchor: string): Need => ({ who: 'app', page: `apps/webhooks#${anchor}` });
  const find = (call: Call): GithubHook => {
    const { hook } = requireApp(call);
    if (!hook) throw refuseNotFound(call);
    return hook;
  };
  return [
    {
      method: 'GET',
      template: '/app/hook/config',
      handle: api(need('read', 'get-a-webhook-configuration-for-an-app'), (call) => ({
        status: 200,
        json: toConfigJson(find(call)),
      })),
    },
    {
      method: 'PATCH',
      template: '/app/hook/config',
      handle: api(need('write', 'update-a-webhook-configuration-for-an-app'), (call) => {
        const hook = find(call);
        Object.assign(hook, readConfig(call, readBody(call)));
        hook.updatedAt = new Date(call.now());
        return { status: 200, json: toConfigJson(hook) };
      }),
    },
    ...listDeliveryRoutes(api, '/app/hook', need, find),
  ];
}

function recentOf(call: Call, hook: GithubHook): readonly HookDelivery[] {
  return hook.deliveries.filter(({ deliveredAt }) => call.now() - deliveredAt.getTime() < historyMs);
}

function list(call: Call, hook: GithubHook): PlainAnswer {
  const status = call.request.query.get('status');
  const isWanted = ({ statusCode }: HookDelivery) =>
    status === 'success'
      ? statusCode >= 200 && statusCode < 400
      : status === 'failure'
        ? statusCode >= 400
        : true;
  return answerByCursor(call, recentOf(call, hook).filter(isWanted), toDeliveryJson);
}

function requireDelivery(call: Call, hook: GithubHook): HookDelivery {
  const id = Number(call.request.params['delivery_id']);
  const delivery = recentOf(call, hook).find((candidate) => candidate.id === id);
  if (delivery) return delivery;
  if (!Number.isInteger(id)) throw refuse(400, 'Invalid delivery id', { page: call.need.page });
  throw refuseNotFound(call);
}
