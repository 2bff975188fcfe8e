import { describe, expect, test } from 'vitest';
import { AuthError, GitlinkError, UnreachableError } from '../../src/errors.ts';
import { signInKind } from '../../src/providers/provider.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import {
  collect,
  createWebhook,
  createSession,
  listWebhooks,
  openLinked,
  pick,
  plainLayout,
  sortById,
  type ContractFixture,
} from '../providers/provider-kit.ts';
import { describeProviderData } from './provider-data-contract.ts';
import { describeWebhookContract } from './webhook-contract.ts';

/** What every adapter must do, against a simulated host. */
export function describeProviderContract(fixture: ContractFixture): void {
  const { provider, layout = plainLayout, flavour = provider.id } = fixture;
  const { own, organization = null } = layout;
  const at = (name: string): string => `${layout.prefix ?? ''}${name}`;

  describe(`provider contract: ${provider.displayName}`, () => {
    describe('recognising a host', () => {
      test('E4: knows its own without a credential, and no other product', async () => {
        const session = createSession(provider, organization);
        const { url } = await fixture.start();
        const ask = (host: string) => provider.recognise(host, session.open(host, null).http, organization);
        expect(await ask(url)).toMatchObject({ host: url, flavour });
        const plain = await startServer((_request, response) => sendJson(response, { error: 'none' }, 404));
        for (const host of [...(await fixture.startOthers()), plain.base]) {
          expect(await ask(host), host).toBeNull();
        }
      });

      test('a page of HTML is nobody, whatever its status says', async () => {
        const session = createSession(provider, organization);
        const server = await startServer((_request, response, index) =>
          response
            .writeHead(index % 2 === 0 ? 404 : 401, { 'content-type': 'text/html' })
            .end('<html></html>'),
        );
        const { http } = session.open(server.base, null);
        expect(await provider.recognise(server.base, http, organization)).toBeNull();
      });

      test('a host that does not answer is unreachable', async () => {
        const session = createSession(provider, organization);
        const { url, faults } = await fixture.start();
        faults.add({ fault: { kind: 'cut' } });
        const { http } = session.open(url, null);
        expect(await session.fail(provider.recognise(url, http, organization))).toBeInstanceOf(
          UnreachableError,
        );
      });
    });

    describe('verifying a credential', () => {
      test('tells the account, the scopes and the kind', async () => {
        const session = createSession(provider, organization);
        const host = await fixture.start();
        const { identity } = await session.link(host.url, host.addToken(fixture.scopes));
        expect(identity.account).toMatchObject(fixture.account);
        expect(identity.account.id).toMatch(/^(?:\d+|\{[0-9a-f-]{36}\}|[0-9a-f-]{36}\/[0-9a-f-]{36})$/);
        expect(identity.scopes).toEqual(fixture.hidesScopes ? null : [...fixture.scopes].sort());
        expect(identity.credentialKind).not.toBe(signInKind);
      });

      test('a credential for git alone is good, and what it misses has a name', async () => {
        const session = createSession(provider, organization);
        const host = await fixture.start();
        const { identity } = await session.link(host.url, host.addToken(fixture.gitScopes));
        expect(identity.account).toMatchObject(fixture.gitAccount);
        const { missing } = provider.compareScopes(identity.scopes ?? [], provider.scopes.identity ?? []);
        expect(missing).toEqual(fixture.missingScope === null ? [] : [fixture.missingScope]);
      });

      test('a dead or unknown credential is refused with what to do', async () => {
        const session = createSession(provider, organization);
        const host = await fixture.start();
        const dead = host.addToken(fixture.scopes);
        host.revokeToken(dead);
        for (const secret of [dead, 'canary-that-nobody-made']) {
          const error = await session.fail(provider.identify(session.open(host.url, secret)));
          expect(error).toBeInstanceOf(AuthError);
          expect((error as AuthError).hint).toContain(host.url);
        }
      });

      test.each([
        ['a cut connection', { kind: 'cut' }],
        ['a page of HTML', { kind: 'html' }],
        ['a page of HTML as 401', { kind: 'html', status: 401 }],
        ['a page of HTML as 403', { kind: 'html', status: 403 }],
        ['a page of HTML as 502', { kind: 'html', status: 502 }],
        ['half of the JSON', { kind: 'broken-json' }],
      ] as const)('E2: %s says nothing about the credential', async (_name, fault) => {
        const session = createSession(provider, organization);
        const host = await fixture.start();
        const access = await session.link(host.url, host.addToken(fixture.scopes));
        host.faults.add({ fault });
        const error = await session.fail(provider.identify(access));
        expect(error).toBeInstanceOf(GitlinkError);
        expect((error as GitlinkError).code).not.toBe('auth');
        host.faults.clear();
        expect(await provider.identify(access)).toMatchObject({ account: fixture.account });
      });

      test('E7: a redirect to another origin is refused, and the credential does not go there', async () => {
        const session = createSession(provider, organization);
        const host = await fixture.start();
        const access = await session.link(host.url, host.addToken(fixture.scopes));
        const thief = await startServer((_request, response) => sendJson(response, {}));
        const answer = { status: 302, headers: { location: `${thief.base}/` } };
        host.faults.add({ fault: { kind: 'answer', answer } });
        expect(await session.fail(provider.identify(access))).toBeInstanceOf(UnreachableError);
        expect(await session.fail(collect(provider.listRepositories(access, null)))).toBeInstanceOf(
          UnreachableError,
        );
        expect(thief.seen).toEqual([]);
      });
    });

    describe('listing', () => {
      test('gives namespaces, the own one first', async () => {
        const { access } = await openLinked(fixture);
        const [first, ...others] = await collect(provider.listNamespaces(access));
        if (layout.ownIsWorkspace) others.push({ path: first?.path ?? '', kind: first?.kind ?? 'user' });
        else expect(first).toEqual({ path: own, kind: 'user' });
        expect(others.map(({ path }) => path)).toContain(at('acme'));
        expect(others.every(({ kind }) => kind !== 'user')).toBe(true);
      });

      test('gives what the account is a member of, with what webhooks need to know', async () => {
        const { access } = await openLinked(fixture);
        const found = await collect(provider.listRepositories(access, null));
        const names = found.map(({ fullName }) => fullName);
        expect(names).toEqual(
          expect.arrayContaining([`${own}/site`, `${own}/notes`, at('acme/api'), at('acme/old')]),
        );
        expect(names).not.toContain(at('bob/secret'));
        expect(pick(found, `${own}/site`)).toMatchObject({
          namespace: own,
          cloneUrl: layout.cloneUrl(access.host, `${own}/site`),
          webUrl: layout.webUrl(access.host, `${own}/site`),
          defaultBranch: layout.defaultBranch,
          private: false,
          archived: false,
          canManageWebhooks: true,
        });
        expect(pick(found, at('acme/api'))).toMatchObject({ private: true, canManageWebhooks: true });
        expect(pick(found, at('acme/old'))).toMatchObject({ archived: layout.hasArchives ?? true });
      });

      test('reads every page, each repository once', async () => {
        const { access } = await openLinked(fixture, { manyRepositories: 230 });
        const found = await collect(provider.listRepositories(access, null));
        const many = found.filter(({ fullName }) => fullName.startsWith(at('acme/many-')));
        expect(many).toHaveLength(230);
        expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
      });

      test('one namespace gives what the whole list has of it, however it is spelled', async () => {
        const { access } = await openLinked(fixture, { manyRepositories: 120 });
        const all = await collect(provider.listRepositories(access, null));
        for (const namespace of [at('acme'), at('ACME'), own, own.toUpperCase(), at('nobody')]) {
          const inside = await collect(provider.listRepositories(access, namespace));
          const wanted = all.filter(({ fullName }) => fullName.startsWith(`${namespace.toLowerCase()}/`));
          expect(sortById(inside), namespace).toEqual(sortById(wanted));
        }
      });

      test('a reader may leave early', async () => {
        const { access, host } = await openLinked(fixture, { manyRepositories: 230 });
        for await (const { fullName } of provider.listRepositories(access, null)) {
          host.faults.add({ fault: { kind: 'cut' } });
          expect(fullName).toContain('/');
          break;
        }
      });

      test('a page that fails ends the list with its error', async () => {
        const { access, host, session } = await openLinked(fixture, { manyRepositories: 230 });
        host.faults.add({
          fault: { kind: 'answer', answer: { status: 403, json: { message: 'no' } } },
          skip: layout.listsInOneCall === true ? 0 : 1,
        });
        const error = await session.fail(collect(provider.listRepositories(access, null)));
        expect((error as GitlinkError).code).toBe('forbidden');
      });
    });

    describe('finding a repository', () => {
      test('gives the same as the list', async () => {
        const { access } = await openLinked(fixture);
        const listed = await collect(provider.listRepositories(access, null));
        expect(await provider.findRepository(access, at('acme/api'))).toEqual(pick(listed, at('acme/api')));
      });

      test.each([`${own}/none`, at('bob/secret'), at('nobody/nothing')])('%s is not there', async (name) => {
        const { access } = await openLinked(fixture);
        expect(await provider.findRepository(access, name)).toBeNull();
      });

      test.runIf(layout.followsRenames ?? true)('follows a renamed one, which keeps its id', async () => {
        const { access, host } = await openLinked(fixture);
        const before = await provider.findRepository(access, at('acme/api'));
        host.rename(at('acme/api'), at('acme/interface'));
        const after = await provider.findRepository(access, at('acme/api'));
        expect(after).toMatchObject({ id: before?.id ?? '', fullName: at('acme/interface') });
      });
    });

    describe('below a path', () => {
      test('everything goes below it', async () => {
        const { access } = await openLinked(fixture, { basePath: '/deep/git', manyRepositories: 120 });
        expect(access.host).toMatch(/\/deep\/git$/);
        const repository = pick(await collect(provider.listRepositories(access, null)), at('acme/api'));
        expect(repository.cloneUrl).toBe(layout.cloneUrl(access.host, at('acme/api')));
        expect(await provider.findRepository(access, at('acme/api'))).toEqual(repository);
        const hook = await createWebhook(provider, access, repository, 'a'.repeat(64));
        expect(await listWebhooks(provider, access, repository)).toEqual([hook]);
      });
    });

    describe.runIf('revoke' in provider)('revoking', () => {
      test('ends the credential, which the host then refuses; once more is no error', async () => {
        const { access, session } = await openLinked(fixture);
        if (fixture.revokesItself === false) {
          const { pageUrl } = { pageUrl: '', ...(await provider.revoke?.(access)) };
          expect(pageUrl).toContain(access.host);
          expect(await provider.identify(access)).toMatchObject({ account: fixture.account });
          return;
        }
        expect(await provider.revoke?.(access)).toEqual({ outcome: 'revoked' });
        expect(await session.fail(provider.identify(access))).toBeInstanceOf(AuthError);
        expect(await provider.revoke?.(access)).toEqual({ outcome: 'alreadyDead' });
      });

      test('a network fault does not make it look dead', async () => {
        const { access, host, session } = await openLinked(fixture);
        host.faults.add({ fault: { kind: 'html', status: 401 } });
        const error = await session.fail(Promise.resolve(provider.revoke?.(access)));
        expect(error).toBeInstanceOf(UnreachableError);
      });
    });

    describeWebhookContract(fixture);
    describeProviderData(provider);
  });
}
