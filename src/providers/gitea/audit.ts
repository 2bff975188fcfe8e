import * as v from 'valibot';
import { ForbiddenError, NotFoundError } from '../../errors.ts';
import type { HostClient, HostRequest, Route } from '../../http/host-client.ts';
import { fetchCountedPages, type CountedPage } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import type { AuditSupport, Connection } from '../audit-support.ts';
import { joinParts, toMoment, toSafeAddress, type ConnectionPart } from '../connection-parts.ts';
import { narrow } from '../narrow.ts';
import { signInKind, type HostAccess } from '../provider.ts';
import { toWebhook } from './convert.ts';
import { pacing } from './pacing.ts';
import { hook } from './schemas.ts';
import { isForgejo } from './versions.ts';

/**
 * No API of Gitea or Forgejo lists all tokens, or any grant of a sign-in. Site administrators may list the tokens of
 * each person, so the members of the organization are asked for one after the other.
 *
 * @see https://docs.gitea.com/development/api-usage
 */
export const audit: AuditSupport = { listConnections };

const pageSize = 50;
const member = v.object({ login: v.string() });
const listedToken = v.object({
  name: v.string(),
  scopes: v.nullish(v.array(v.string()), []),
  last_used_at: v.nullish(v.string()),
});

async function* listConnections(
  access: HostAccess,
  organization: string,
  onHidden: (what: string) => void,
): AsyncGenerator<Connection, void, undefined> {
  const { http, host } = access;
  const found = await http.request({ method: 'GET', route: route`/orgs/${organization}`, accept: [404] });
  if (found.status === 404)
    throw new NotFoundError(`The credential sees no organization ${organization} at ${host}.`);
  const parts: readonly ConnectionPart[] = [
    ['webhooks of the organization', listHooks(access, organization)],
    ['tokens of its members', listMemberTokens(access, organization)],
  ];
  if (yield* joinParts(parts, onHidden)) return;
  throw new ForbiddenError(`The credential may see nothing that others connected to ${organization}.`, {
    hint: 'Webhooks take an owner and read:organization; tokens of others a site administrator and read:user.',
  });
}

async function* listHooks(
  { http, host }: HostAccess,
  organization: string,
): AsyncGenerator<Connection | null> {
  for await (const found of listAll(http, route`/orgs/${organization}/hooks`, hook)) {
    if (found === null) {
      yield null;
      return;
    }
    const { url, events, active } = toWebhook(found);
    yield {
      kind: 'webhook',
      name: toSafeAddress(url),
      owner: organization,
      powers: events,
      expiresAt: null,
      lastUsedAt: null,
      isActive: active,
      pageUrl: `${host}/org/${organization}/settings/hooks`,
    };
  }
}

async function* listMemberTokens(
  access: HostAccess,
  organization: string,
): AsyncGenerator<Connection | null> {
  const { http, host, version } = access;
  const adminPage = `${host}${isForgejo(version) ? '' : '/-'}/admin/users`;
  for await (const person of listAll(http, route`/orgs/${organization}/members`, member)) {
    if (person === null) {
      yield null;
      return;
    }
    for await (const found of listAll(
      http,
      route`/users/${person.login}/tokens`,
      listedToken,
      asPassword(access),
    )) {
      if (found === null) {
        yield null;
        break;
      }
      yield {
        kind: 'personal-token',
        name: found.name,
        owner: person.login,
        powers: found.scopes ?? [],
        // Tokens of Gitea and Forgejo have no end.
        expiresAt: 'never',
        lastUsedAt: toMoment(found.last_used_at) ?? 'never',
        isActive: true,
        pageUrl: person.login === access.account.login ? `${host}/user/settings/applications` : adminPage,
      };
    }
  }
}

/** Gitea lists tokens only for who sends theirs as a password; a sign-in cannot be sent so. */
function asPassword({ account, credential }: HostAccess): Pick<HostRequest, 'authorization'> {
  if (account.login === null || credential.kind === signInKind) return {};
  return { authorization: { scheme: 'Basic', username: account.login, secret: credential.token } };
}

/** @returns null, and nothing more, where the credential may not see the list. */
async function* listAll<Schema extends v.GenericSchema>(
  http: HostClient,
  place: Route,
  schema: Schema,
  authorization: Pick<HostRequest, 'authorization'> = {},
): AsyncGenerator<v.InferOutput<Schema> | null, void, undefined> {
  let isHidden = false;
  const fetchPage = async (page: number): Promise<CountedPage<v.InferOutput<Schema>>> => {
    const query = { page, limit: pageSize };
    const { status, headers, body } = await http.request({
      method: 'GET',
      route: place,
      query,
      accept: [401, 403, 404],
      ...authorization,
    });
    if (status !== 200) {
      isHidden = true;
      return { items: [], totalCount: 0 };
    }
    const count = Number(headers.get('x-total-count') ?? Number.NaN);
    const items = narrow(v.array(schema), body, 'the list');
    return { items, totalCount: Number.isSafeInteger(count) && count >= 0 ? count : null };
  };
  yield* fetchCountedPages(fetchPage, pageSize, pacing.concurrency);
  if (isHidden) yield null;
}
