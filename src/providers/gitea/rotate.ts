import { UnsupportedError } from '../../errors.ts';
import type { Secret } from '../../secret.ts';
import type { HostAccess, Provider, Rotation } from '../provider.ts';
import * as endpoints from './endpoints.ts';
import { compareScopes } from './scopes.ts';
import { asPassword, identify, toApplicationsPageUrl } from './tokens.ts';
import { isForgejo } from './versions.ts';

/** Has Gitea make a token of the same scopes, which it does for a token that may write the account. */
export async function rotate(
  access: HostAccess,
  wish: Parameters<NonNullable<Provider['rotate']>>[1],
): Promise<Rotation> {
  if (wish.expiresAt !== null) {
    throw new UnsupportedError(`Tokens of ${access.host} have no end that could be chosen.`, {
      hint: 'Rotate without a date.',
    });
  }
  if (isForgejo(access.version)) {
    return explain(
      access,
      'Forgejo makes a token only for the account password, which gitlink never asks for',
    );
  }
  const { account, scopes } = await identify(access);
  if (scopes === null) {
    return explain(
      access,
      'the server does not tell what this token may do, so that another could be made alike',
    );
  }
  if (account.login === null || compareScopes(scopes, ['write:user']).missing.length > 0) {
    return explain(access, 'only a token with the scope write:user may have another made');
  }
  const token = await createNamedToken(access, account.login, scopes);
  if (token === null) return explain(access, 'the server does not let this token make another');
  return { outcome: 'rotated', token, expiresAt: null, endsOld: false };
}

/** @returns null where the server refuses. */
async function createNamedToken(
  access: HostAccess,
  login: string,
  scopes: readonly string[],
): Promise<Secret | null> {
  const name = `gitlink ${new Date(access.now()).toISOString().slice(0, 19).replace('T', ' ')}`;
  for (const candidate of [name, `${name} (2)`]) {
    const wish = { name: candidate, scopes };
    const made = await endpoints.createToken(access, login, wish, asPassword(access, login));
    if (made !== 'nameTaken') return made === 'refused' ? null : made;
  }
  return null;
}

function explain({ host }: HostAccess, reason: string): Rotation {
  return { outcome: 'impossible', reason, pageUrl: toApplicationsPageUrl(host) };
}
