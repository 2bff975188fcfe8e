import type { HostClient, Route } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { Secret } from '../../secret.ts';
import { narrow } from '../narrow.ts';
import type { Account, HostAccess } from '../provider.ts';
import { send } from './ask.ts';
import * as endpoints from './endpoints.ts';
import * as schemas from './schemas.ts';

/** Where a token is managed, and with what. */
export interface ManagedToken {
  /** The tokens of the same owner. */
  readonly tokens: Route;
  readonly token: Route;
  readonly http: HostClient;
}

/**
 * Finds where the host keeps a token.
 *
 * @param via - The credential that is to manage it.
 * @returns null where its owner or its id is not known.
 */
export async function findManaged(
  token: Secret,
  account: Account,
  via: HostAccess,
): Promise<ManagedToken | null> {
  const id = readTokenId(token);
  const tokens = id === null ? null : await findOwnerRoute(account, via);
  if (id === null || tokens === null) return null;
  return {
    tokens,
    token: route`${tokens}/${id}`,
    http: await via.openBase(`${via.host}/rest/access-tokens/latest`),
  };
}

/** @returns null where the owner has no such token. */
export async function fetchRecord(
  via: HostAccess,
  managed: ManagedToken,
): Promise<schemas.AccessToken | null> {
  const request = { method: 'GET', route: managed.token, accept: [404] } as const;
  const { status, body } = await send(via, request, managed.http);
  return status === 404 ? null : narrow(schemas.accessToken, body, 'the token');
}

/** @returns null for what is no time. */
export function toTime(moment: number | string | null | undefined): number | null {
  const time = typeof moment === 'string' ? Date.parse(moment) : (moment ?? Number.NaN);
  return Number.isNaN(time) ? null : time;
}

/**
 * Reads the id that a token's secret begins with: `<id>:<20 random bytes>` in base64. It is found digit by digit,
 * so that nothing but digits can come out of the secret.
 *
 * @returns null for a token of another form.
 */
export function readTokenId(token: Secret): string | null {
  const decoded = token.map((text) => Buffer.from(text.replace(/^BBDC-/, ''), 'base64').toString('latin1'));
  let id = '';
  while (!decoded.matches(new RegExp(`^${id}:`))) {
    const digit = [...'0123456789'].find((next) => decoded.matches(new RegExp(`^${id}${next}`)));
    if (digit === undefined || id.length === 20) return null;
    id += digit;
  }
  return id === '' ? null : id;
}

async function findOwnerRoute({ kind, login }: Account, via: HostAccess): Promise<Route | null> {
  const [key = '', slug = ''] = (login ?? '').split('/');
  if (kind === 'project' && key !== '') return route`/projects/${key}`;
  if (kind === 'repository' && slug !== '') return route`/projects/${key}/repos/${slug}`;
  if (kind !== 'user' || login === null) return null;
  const user = await endpoints.findUser(via, login);
  return user === null ? null : route`/users/${user.slug}`;
}
