import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError } from '../../src/errors.ts';
import { signInKind, type HostAccess, type Rotation } from '../../src/providers/provider.ts';
import type { NewEntraToken, NewPat, PersonalToken } from '../simulators/azure-devops/token-state.ts';
import { linkAzureDevops, linkEntra, provider, type LinkedAzureDevops } from './azure-devops-kit.ts';

const dayMs = 86_400_000;

/** ada's token for acme, and her sign-in that may manage tokens. */
async function linkBoth(pat: NewPat = {}, entra: NewEntraToken = {}) {
  const linked = await linkAzureDevops({}, { name: 'laptop', ...pat });
  const scopes = ['vso.code', 'vso.pats_manage'];
  const via = await linkEntra(linked, signInKind, { scopes, ...entra });
  return { ...linked, via };
}

function rotate(access: HostAccess, via?: HostAccess, expiresAt: number | null = null): Promise<Rotation> {
  return (
    provider.rotate?.(access, { expiresAt, ...(via ? { via } : {}) }) ?? Promise.reject(new Error('none'))
  );
}

function requireRotated(rotation: Rotation) {
  if (rotation.outcome !== 'rotated') throw new Error(rotation.reason);
  return rotation;
}

function patsOf({ azure }: Pick<LinkedAzureDevops, 'azure'>): readonly PersonalToken[] {
  return [...azure.state.tokens.values()].filter((token) => token.kind === 'pat');
}

function digestName(secret: string): string {
  return `gitlink ${createHash('sha256').update(secret).digest('hex').slice(0, 8)}`;
}

describe('rotating by the sign-in of the same person', () => {
  test('makes a token of the same scopes and life, which is found again by its own name; the old one lives on', async () => {
    const { azure, access, secret, via } = await linkBoth({ scopes: ['vso.code', 'vso.project'] });
    const rotation = requireRotated(await rotate(access, via));
    expect(rotation.endsOld).toBe(false);
    const [old, made] = patsOf({ azure });
    expect(made).toMatchObject({ scopes: ['vso.code', 'vso.project'], revoked: false });
    expect(rotation.token.matches(new RegExp(`^${made?.secret}$`))).toBe(true);
    expect(made?.name).toBe(digestName(made?.secret ?? ''));
    expect(Math.abs((made?.expiresAt ?? 0) - (old?.expiresAt ?? 0))).toBeLessThan(60_000);
    expect(rotation.expiresAt).toBe(made?.expiresAt);
    // Then the caller ends the old one, although there are two now.
    expect(await provider.revoke?.(access, via)).toEqual({ outcome: 'revoked' });
    expect(azure.state.tokens.get(secret)?.revoked).toBe(true);
    expect(made?.revoked).toBe(false);
  });

  test('a token that gitlink made is rotated among any number of others', async () => {
    const { azure, access, session, via } = await linkBoth();
    const one = requireRotated(await rotate(access, via));
    for (const name of ['server', 'gitlink', 'gitlink 0123abcd']) azure.addToken({ name });
    const [, made] = patsOf({ azure });
    const next = await session.link(azure.url, made?.secret ?? '');
    const two = requireRotated(await rotate(next, via));
    expect(two.token.equals(one.token)).toBe(false);
    expect(await provider.revoke?.(next, via)).toEqual({ outcome: 'revoked' });
    expect(patsOf({ azure }).filter(({ revoked }) => revoked)).toEqual([made]);
  });

  test('takes the last day that is wished for', async () => {
    const { azure, access, via } = await linkBoth();
    const expiresAt = Date.now() + 10 * dayMs;
    await rotate(access, via, expiresAt);
    expect(patsOf({ azure })[1]?.expiresAt).toBe(expiresAt);
  });

  test('nobody tells which of several tokens it is: none is touched, and its name would tell', async () => {
    const { azure, access, secret, via } = await linkBoth();
    azure.addToken({ name: 'server' });
    azure.clearRequests();
    for (const work of [rotate(access, via), provider.revoke?.(access, via)]) {
      const { reason } = { reason: '', ...(await work) };
      expect(reason).toContain('2 tokens of this account could be it');
      expect(reason).toContain(digestName(secret));
    }
    expect(azure.requests.every(({ method }) => method === 'GET')).toBe(true);
    const [old] = patsOf({ azure });
    if (old) old.name = digestName(secret);
    expect(await provider.revoke?.(access, via)).toEqual({ outcome: 'revoked' });
    expect(patsOf({ azure }).map(({ revoked }) => revoked)).toEqual([true, false]);
  });

  test('reads every page of the tokens', async () => {
    const { azure, access, secret, via } = await linkBoth();
    for (let count = 0; count < 205; count += 1) azure.addToken({ name: 'other' });
    const [old] = patsOf({ azure });
    azure.state.tokens.delete(secret);
    if (old) azure.state.tokens.set(secret, Object.assign(old, { name: digestName(secret) }));
    expect(await provider.revoke?.(access, via)).toEqual({ outcome: 'revoked' });
  });

  test.each([
    ['fullScopePatPolicyViolation', { allowsFullScope: false }, { scopes: ['app_token'] }, 'full access'],
    ['patLifespanPolicyViolation', { maxLifespanDays: 7 }, {}, '--expires'],
    ['disablePatCreationPolicyViolation', { allowsCreation: false }, {}, 'only some people'],
  ])('200 does not mean success: %s', async (_word, policy, pat, said) => {
    const { azure, access, via, session } = await linkBoth(pat);
    Object.assign(azure.state.organizations[0]?.policies ?? {}, policy);
    const error = await session.fail(rotate(access, via));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain(said);
    expect(patsOf({ azure })).toHaveLength(1);
  });

  test('globalPATCreationBlocked is explained: publishers are still told to make such tokens', async () => {
    const { azure, access, via, session } = await linkBoth();
    const patToken = { authorizationId: 'x', token: null };
    const json = { patToken, patTokenError: 'globalPATCreationBlocked' };
    azure.faults.add({ method: 'POST', fault: { kind: 'answer', answer: { status: 200, json } } });
    expect((await session.fail(rotate(access, via))).message).toContain('for all organizations at once');
  });

  test('a sign-in without that permission says what it lacks', async () => {
    const { access, via, session } = await linkBoth({}, { scopes: ['vso.code_write'] });
    const error = (await session.fail(rotate(access, via))) as ForbiddenError;
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.hint).toContain('vso.pats_manage');
  });
});

describe('what cannot be done by API names the page', () => {
  test.each([
    ['none', 'can neither end nor replace itself'],
    ['a token', 'only the sign-in of a person'],
    ['another account', 'the sign-in of another account'],
  ] as const)('via %s', async (what, reason) => {
    const { azure, access, session, via } = await linkBoth();
    const other = await session.link(azure.url, azure.addToken().secret);
    const ways = {
      none: undefined,
      'a token': other,
      'another account': { ...via, account: { ...via.account, id: 'another' } },
    };
    for (const result of [await rotate(access, ways[what]), await provider.revoke?.(access, ways[what])]) {
      expect(result).toMatchObject({
        outcome: 'impossible',
        reason: expect.stringContaining(reason) as string,
        pageUrl: `${azure.url}/acme/_usersettings/tokens`,
      });
    }
    expect(patsOf({ azure }).some(({ revoked }) => revoked)).toBe(false);
  });

  test('a token of Entra ends by itself', async () => {
    const { azure, via } = await linkBoth();
    const access = await linkEntra({ azure, session: (await linkAzureDevops()).session }, 'entra-token');
    expect(await provider.revoke?.(access, via)).toMatchObject({
      outcome: 'impossible',
      pageUrl: `${azure.url}/login/applications`,
    });
  });

  test('a token that is dead already is that', async () => {
    const { azure, access, secret, via, session } = await linkBoth();
    const token = azure.state.tokens.get(secret);
    if (token) token.revoked = true;
    expect(await provider.revoke?.(access, via)).toEqual({ outcome: 'alreadyDead' });
    expect(await session.fail(provider.identify(access))).toBeInstanceOf(AuthError);
  });
});
