import { describe, expect, test } from 'vitest';
import { ForbiddenError, type GitlinkError } from '../../src/errors.ts';
import { HostAnswerError } from '../../src/http/host-answer-error.ts';
import { githubProvider } from '../../src/providers/github/index.ts';
import type { GithubSimulatorOptions } from '../simulators/github/server.ts';
import type { OrganizationPolicy } from '../simulators/github/state.ts';
import { storeToken } from '../simulators/github/token-state.ts';
import { requireUser } from '../simulators/github/state.ts';
import { smallWorld } from '../simulators/github/world.ts';
import { admin, cloud, linkGithub, placeOf, startGithub } from './github-kit.ts';
import { collect, createSession } from './provider-kit.ts';

function withPolicy(policy: Partial<OrganizationPolicy>): GithubSimulatorOptions {
  const acme = { login: 'acme', members: { ada: 'admin' }, policy } as const;
  return {
    ...cloud,
    world: { ...smallWorld, organizations: [acme, { login: 'others', members: { bob: 'admin' } }] },
  };
}

/** What the refusal of one of acme's repositories says. */
async function refuseApi(options: GithubSimulatorOptions): Promise<GitlinkError> {
  const { access, session } = await linkGithub(options);
  return (await session.fail(githubProvider.findRepository(access, 'acme/api'))) as GitlinkError;
}

describe('a refusal says what it means', () => {
  test('§13 no. 17: an IP allow list, which shuts even public repositories', async () => {
    const { access, session } = await linkGithub(withPolicy({ blocksAddress: true }));
    const error = (await session.fail(
      githubProvider.findRepository(access, 'acme/handbook'),
    )) as GitlinkError;
    expect(error).toMatchObject({ code: 'forbidden', hint: expect.stringContaining('networks') as unknown });
    expect(error.message).toContain('IP allow list');
  });

  test('§13 no. 16: OAuth App access restrictions, which a pasted token does not meet', async () => {
    const github = await startGithub(withPolicy({ restrictsOAuthApps: true }));
    const { secret } = storeToken(github.state, Date.now(), {
      kind: 'oauth',
      name: 'canary',
      user: requireUser(github.state, 'ada'),
      scopes: ['repo', 'read:org'],
      client: github.oauth.addApplication(),
    });
    const session = createSession(githubProvider);
    const access = await session.link(github.url, secret);
    const error = (await session.fail(githubProvider.findRepository(access, 'acme/api'))) as GitlinkError;
    expect(error.code).toBe('forbidden');
    expect(error.hint).toContain(`${github.url}/settings/applications`);
    expect(error.hint).toContain('--method token');
  });

  test('no classic tokens wanted: a fine-grained one does', async () => {
    const error = await refuseApi(withPolicy({ blocksClassicTokens: true }));
    expect(error.code).toBe('forbidden');
    expect(error.hint).toContain('/settings/personal-access-tokens/new');
  });

  test('§10: a scope is missing, which GitHub calls a 404: which', async () => {
    const { access, session } = await linkGithub({}, { scopes: ['read:repo_hook', 'read:org'] });
    const place = await placeOf(access, 'ada/site');
    expect(await admin.list(access, place)).toEqual([]);
    const wanted = { url: 'http://127.0.0.1:9/', events: ['push'], secret: null, successorOf: null };
    const error = await session.fail(admin.create(access, place, wanted));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toBe('the token lacks the scope write:repo_hook');
  });

  test('a permission of a fine-grained token is missing: which', async () => {
    const { access, session } = await linkGithub(
      {},
      { kind: 'fineGrained', permissions: { contents: 'read' } },
    );
    const place = await placeOf(access, 'ada/notes');
    const error = (await session.fail(admin.list(access, place))) as GitlinkError;
    expect(error).toBeInstanceOf(HostAnswerError);
    expect(error.message).toContain('repository_hooks:read');
    expect(error.hint).toContain('/settings/personal-access-tokens');
  });

  test('organizations cannot be listed without the scope for it, and what is missing is said', async () => {
    const { access, session } = await linkGithub({}, { scopes: ['repo'] });
    const error = await session.fail(collect(githubProvider.listNamespaces(access)));
    expect(error).toMatchObject({ code: 'forbidden' });
    expect(error.message).toContain('read:org');
  });

  test.each([
    ['one', { message: 'Validation Failed', errors: { message: 'canary words' } }],
    ['a text', { message: 'Validation Failed', errors: ['canary words'] }],
    [
      'a list',
      {
        message: 'Validation Failed',
        errors: [{ resource: 'Hook', code: 'custom', message: 'canary words' }],
      },
    ],
  ])('§10: errors may be %s', async (_name, json) => {
    const { access, session, github } = await linkGithub();
    const place = await placeOf(access, 'ada/notes');
    github.faults.add({ fault: { kind: 'answer', answer: { status: 422, json } } });
    expect((await session.fail(admin.list(access, place))).message).toContain(
      'Validation Failed: canary words',
    );
  });

  test('an address of the host’s answer is named only when it is the host’s own', async () => {
    const { access, session, github } = await linkGithub(cloud);
    const answer = {
      status: 403,
      headers: { 'x-github-sso': 'required; url=https://evil.dev/orgs/acme/sso' },
      json: { message: 'Resource protected by organization SAML enforcement.' },
    };
    github.faults.add({ fault: { kind: 'answer', answer } });
    const error = (await session.fail(githubProvider.findRepository(access, 'acme/api'))) as GitlinkError;
    expect(error.hint).toContain(`${github.url}/settings/tokens`);
    expect(error.hint).not.toContain('evil');
  });
});
