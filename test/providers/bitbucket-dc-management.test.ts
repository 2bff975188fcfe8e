import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError, UnreachableError, UsageError } from '../../src/errors.ts';
import { bitbucketDcProvider as provider } from '../../src/providers/bitbucket-dc/index.ts';
import type { HostAccess, Rotation, RotationWish } from '../../src/providers/provider.ts';
import { revoke } from '../../src/providers/bitbucket-dc/managed-tokens.ts';
import type { NewToken } from '../simulators/bitbucket-dc/token-state.ts';
import { linkDc, signIn } from './bitbucket-dc-kit.ts';

const dayMs = 86_400_000;

function rotate(access: HostAccess, wish: Partial<RotationWish> = {}): Promise<Rotation> {
  return Promise.resolve(provider.rotate?.(access, { expiresAt: null, ...wish })) as Promise<Rotation>;
}

function requireRotated(rotation: Rotation) {
  if (rotation.outcome !== 'rotated') throw new Error(rotation.reason);
  return rotation;
}

const owners: readonly (readonly [NewToken, string, readonly string[]])[] = [
  [{ kind: 'user' }, 'ada', ['ACCOUNT_WRITE', 'REPO_READ']],
  [{ kind: 'project', resource: 'ACME' }, 'ada', ['PROJECT_ADMIN']],
  [{ kind: 'repository', resource: 'ACME/api' }, 'ada', ['REPO_ADMIN']],
];

describe('replacing a token of Data Center', () => {
  test.each(owners)('fact 7, 8: %o by the sign-in of one who may', async (token, user, scopes) => {
    const permissions = token.kind === 'project' ? ['PROJECT_READ', 'REPO_WRITE'] : ['REPO_WRITE'];
    const linked = await linkDc({}, { ...token, permissions, name: 'build', expiryDays: 30 });
    const { access, dc, session, secret } = linked;
    const via = await signIn(linked, user, scopes);
    dc.clearRequests();
    const made = requireRotated(await rotate(access, { via }));
    // Nobody lists tokens to find one whose id is known.
    expect(dc.requests.filter(({ template }) => /access-tokens.*[^}]$/.test(template ?? ''))).toEqual([]);
    const [old, renewed] = [...dc.state.tokens.values()];
    expect(old?.secret).toBe(secret);
    expect(made.token.matches(new RegExp(`^${renewed?.secret.replaceAll('+', '\\+')}$`))).toBe(true);
    expect(renewed).toMatchObject({ name: 'build', permissions, place: old?.place });
    expect(made).toMatchObject({ endsOld: false, expiresAt: renewed?.expiresAt });
    expect((renewed?.expiresAt ?? 0) - (renewed?.createdAt ?? 0)).toBe(30 * dayMs);

    expect(await revoke(access, via)).toEqual({ outcome: 'revoked' });
    expect(await session.fail(provider.identify(access))).toBeInstanceOf(AuthError);
    expect(await revoke(access, via)).toEqual({ outcome: 'alreadyDead' });
    expect(await provider.identify(session.open(dc.url, renewed?.secret ?? ''))).toMatchObject({
      account: { login: access.identity.account.login },
    });
  });

  test('an end that a person chooses is kept, and one without end stays so', async () => {
    const linked = await linkDc();
    const via = await signIn(linked, 'ada', ['ACCOUNT_WRITE', 'REPO_READ']);
    expect(requireRotated(await rotate(linked.access, { via }))).toMatchObject({ expiresAt: null });
    const expiresAt = Date.now() + 9.5 * dayMs;
    const made = requireRotated(await rotate(linked.access, { via, expiresAt }));
    expect(Math.round(((made.expiresAt ?? 0) - Date.now()) / dayMs)).toBe(10);
  });

  test('fact 8: no token may, not even one of everything', async () => {
    const linked = await linkDc();
    const { access, dc, session } = linked;
    expect(await rotate(access)).toMatchObject({
      outcome: 'impossible',
      reason: expect.stringContaining('--via') as string,
      pageUrl: `${dc.url}/plugins/servlet/access-tokens/manage`,
    });
    const via = await session.link(dc.url, dc.addToken().secret);
    expect(await session.fail(rotate(access, { via }))).toBeInstanceOf(ForbiddenError);
    expect(dc.state.tokens.size).toBe(2);
  });

  test('fact 8: a person may not replace the token of another', async () => {
    const linked = await linkDc();
    const via = await signIn(linked, 'bob', ['ACCOUNT_WRITE', 'REPO_READ']);
    expect(await linked.session.fail(rotate(linked.access, { via }))).toBeInstanceOf(ForbiddenError);
  });

  test('a link of another host is a mistake', async () => {
    const linked = await linkDc();
    const via = { ...(await signIn(linked, 'ada', ['REPO_READ'])), host: 'https://elsewhere.test' };
    expect(await linked.session.fail(rotate(linked.access, { via }))).toBeInstanceOf(UsageError);
  });

  test('is asked for once, also when the answer is lost', async () => {
    const linked = await linkDc();
    const via = await signIn(linked, 'ada', ['ACCOUNT_WRITE', 'REPO_READ']);
    linked.dc.faults.add({ method: 'PUT', fault: { kind: 'lost' } });
    expect(await linked.session.fail(rotate(linked.access, { via }))).toBeInstanceOf(UnreachableError);
    expect(linked.dc.state.tokens.size).toBe(2);
  });

  test('the page is that of the place whose token it is', async () => {
    const linked = await linkDc({}, { kind: 'repository', resource: 'ACME/api' });
    expect(await rotate(linked.access)).toMatchObject({
      pageUrl: `${linked.dc.url}/projects/ACME/repos/api/settings`,
    });
  });
});

describe('revoking a token of Data Center', () => {
  test('fact 8: with itself is refused, and a person is told where', async () => {
    const { access, dc } = await linkDc();
    expect(await revoke(access)).toMatchObject({
      outcome: 'impossible',
      pageUrl: `${dc.url}/plugins/servlet/access-tokens/manage`,
    });
    expect(dc.state.tokens.size).toBe(1);
  });

  test('a token that is not to be seen is not called dead', async () => {
    const linked = await linkDc({}, { kind: 'project', resource: 'VAULT' });
    const via = await signIn(linked, 'ada', ['PROJECT_ADMIN']);
    linked.dc.state.findProject('VAULT')?.members.clear();
    expect(await revoke(linked.access, via)).toMatchObject({ outcome: 'impossible' });
    expect(linked.dc.state.tokens.size).toBe(1);
  });

  test.each(owners)('fact 8: %o ends itself where a server lets it', async (token) => {
    const { access, dc } = await linkDc({ settings: { tokensReachThemselves: true } }, token);
    expect(await revoke(access)).toEqual({ outcome: 'revoked' });
    expect(dc.state.tokens.size).toBe(0);
    expect(await revoke(access)).toEqual({ outcome: 'alreadyDead' });
  });
});
