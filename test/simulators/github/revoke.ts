import type { PlainAnswer, Route } from '../routes.ts';
import { readBody, refuse, refuseInvalid, refuseNotFound } from './call.ts';
import type { Api, Call } from './call.ts';

const revocable = /^(ghp_|github_pat_|gho_|ghu_|ghr_)/;
const mostCredentials = 1000;

/**
 * `POST /credentials/revoke` (`providers/github.md` §3): by anybody, of whatever is found. Enterprise Servers do not
 * have it, and who tries is told so.
 */
export function listRevocationRoutes(api: Api, isServer: boolean): Route[] {
  const page = 'credentials/revoke#revoke-a-list-of-credentials';
  const handle = api({ who: 'anyone', page }, isServer ? refuseAll : revoke);
  return [{ method: 'POST', template: '/credentials/revoke', undescribed: isServer, handle }];
}

function refuseAll(call: Call): PlainAnswer {
  throw refuseNotFound(call);
}

function revoke(call: Call): PlainAnswer {
  if (call.actor.kind !== 'nobody') {
    throw refuse(403, 'This endpoint must be called without authentication.', { page: call.need.page });
  }
  const { credentials } = readBody(call);
  const isList =
    Array.isArray(credentials) && credentials.length > 0 && credentials.length <= mostCredentials;
  const isFine = isList && credentials.every((one) => typeof one === 'string' && revocable.test(one));
  if (!isFine) throw refuseInvalid(call, [{ resource: 'Credential', field: 'credentials', code: 'invalid' }]);
  for (const secret of credentials as readonly string[]) {
    const token = call.state.tokens.get(secret);
    if (token) token.revoked = true;
    const refresh = call.state.oauth.refreshTokens.get(secret);
    if (refresh) refresh.isSpent = true;
  }
  return { status: 202, json: {} };
}
