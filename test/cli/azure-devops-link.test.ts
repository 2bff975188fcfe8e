import { describe, expect, test } from 'vitest';
import type { NewPat, PersonalToken } from '../simulators/azure-devops/token-state.ts';
import type { AzureDevopsSimulatorOptions } from '../simulators/azure-devops/server.ts';
import { readLinks } from '../support/ask-git.ts';
import { converse, enter, isExpectMissing } from '../support/converse.ts';
import {
  createLinkedAzure,
  createLinkedServer,
  guardAll,
  linkArgs,
  linkToken,
  listForms,
  startAzureDevops,
  startAzureServer,
} from '../support/linked-azure-devops.ts';
import { readLinksOrNone } from '../support/linked-bitbucket.ts';
import { createSandbox, type Run } from '../support/sandbox.ts';
import { hurry } from './refresh-kit.ts';
import { runWithBrowser } from './sign-in-kit.ts';

/** Links a token at a new Azure DevOps, with these flags. */
async function tryLink(
  spec: NewPat = {},
  flags: readonly string[] = [],
  {
    spoil,
    ...options
  }: AzureDevopsSimulatorOptions & { readonly spoil?: (token: PersonalToken) => void } = {},
) {
  const azure = await startAzureDevops(options);
  const sandbox = guardAll(createSandbox(), azure);
  const token = azure.addToken(spec);
  spoil?.(token);
  const args = linkArgs(azure, '--with-token', '--json', ...flags);
  return { azure, sandbox, token, run: await sandbox.run(args, { input: token.secret }) };
}

function linkOf(run: Run): unknown {
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return run.json<{ link: unknown }>().link;
}

describe('link with a personal access token', () => {
  test.each(['new', 'old'] as const)(
    'of the %s shape: Basic without a name, and the account',
    async (shape) => {
      const { azure, run } = await tryLink({ shape });
      expect(linkOf(run)).toMatchObject({
        name: 'azure-devops',
        provider: 'azure-devops',
        flavour: 'azure-devops',
        host: azure.url,
        organization: 'acme',
        method: 'token',
        account: { login: 'ada@acme.test', kind: 'user' },
        enforcement: 'none',
        status: 'ok',
      });
      expect(listForms(azure)).toEqual(['basic']);
    },
  );

  test('fact 9: it tells neither scopes nor its end: both unknown, and --expires is what counts then', async () => {
    const { run } = await tryLink();
    expect(linkOf(run)).toMatchObject({ scopes: null, expiresAt: null });
    const soon = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
    const dated = await tryLink({}, ['--expires', soon]);
    expect(linkOf(dated.run)).toMatchObject({ expiresAt: `${soon}T00:00:00.000Z` });
    const expiring = await dated.sandbox.run(['list', '--expiring', '14', '--json']);
    expect(expiring, expiring.stderr).toMatchObject({ exitCode: 3 });
    const past = await tryLink({}, ['--expires', '2020-01-01']);
    expect(past.run).toMatchObject({ exitCode: 2 });
    expect(past.azure.requests.filter(({ authorization }) => authorization !== null)).toEqual([]);
  });

  test('fact 9: it cannot rotate itself: exit 6 with its page and the two ways', async () => {
    const { sandbox, azure } = await createLinkedAzure();
    const run = await sandbox.run(['rotate', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('--via');
    expect(run.stderr).toContain(`${azure.url}/acme/_usersettings/tokens`);
    expect(run.stderr).toContain('gitlink relink azure-devops --with-token');
  });

  test.each<[string, NewPat, string | undefined, (token: PersonalToken) => void]>([
    ['revoked', {}, undefined, (token) => (token.revoked = true)],
    ['ended', {}, undefined, (token) => (token.expiresAt = 0)],
    ['of another organization', { organization: 'acme-labs' }, undefined, () => {}],
  ])(
    'fact 1: a token that is %s: exit 4 with its page and the end of global tokens',
    async (_name, spec, _flag, spoil) => {
      const { azure, sandbox, run } = await tryLink(spec, [], { spoil });
      expect(run, run.stderr).toMatchObject({ exitCode: 4 });
      expect(run.json()).toMatchObject({ error: { code: 'auth' } });
      expect(run.stderr).toContain(`${azure.url}/acme/_usersettings/tokens`);
      expect(run.stderr).toContain('2026-12-01');
      expect(readLinksOrNone(sandbox)).toEqual([]);
    },
  );

  test('a token that dies later: exit 4, the link says so, nothing is deleted, and relink mends it', async () => {
    const { azure, sandbox, token } = await createLinkedAzure();
    token.revoked = true;
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked' }]);
    const { secret } = azure.addToken();
    const relinked = await sandbox.run(['relink', '--with-token', '--json'], { input: secret });
    expect(linkOf(relinked)).toMatchObject({ status: 'ok', organization: 'acme' });
  });

  test('somebody who never opened the organization: exit 6 with the page to open once', async () => {
    const { azure, run } = await tryLink({ user: 'zoe' });
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain(`Open ${azure.url}/acme in a browser once`);
  });

  test('a token without the scope for code is linked; what needs it fails with exit 6 or 4 and says so', async () => {
    const { sandbox, run } = await tryLink({ scopes: ['vso.profile'] });
    expect(linkOf(run)).toMatchObject({ status: 'ok' });
    const repos = await sandbox.run(['repos', '--json']);
    expect([4, 6]).toContain(repos.exitCode);
    expect(repos.stderr).not.toBe('');
  });
});

describe('fact 1: a link is for one organization, named before anything is sent', () => {
  test('fact 2: without --organization, an address or a terminal: exit 2 with the flag; the token is sent nowhere', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    const { secret } = azure.addToken();
    const args = ['link', 'azure-devops', '--host', azure.url, '--with-token', '--json'];
    const run = await sandbox.run(args, { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.json()).toMatchObject({ error: { code: 'usage' } });
    expect(run.stderr).toContain('--organization');
    expect(azure.requests.filter(({ authorization }) => authorization !== null)).toEqual([]);
  });

  test('one that is not there: exit 5, and the token is sent nowhere', async () => {
    const { azure, run } = await tryLink({}, ['--organization', 'nobody']);
    expect(run, run.stderr).toMatchObject({ exitCode: 5 });
    expect(run.stderr).toContain('nobody');
    expect(azure.requests.filter(({ authorization }) => authorization !== null)).toEqual([]);
  });

  test.each([
    ['the organization', 'acme'],
    ['a project', 'acme/Platform'],
    ['a repository', 'acme/Platform/_git/api'],
    ['its short form', 'acme/_git/Platform'],
    ['escaped letters', 'acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug'],
    ['a name in any case', 'ACME/Platform/_git/api'],
  ])('is read from the address of %s', async (_name, path) => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    const { secret } = azure.addToken();
    const args = ['link', `${azure.url}/${path}`, '--with-token', '--json'];
    const run = await sandbox.run(args, { input: secret });
    const { organization } = linkOf(run) as { organization: string };
    expect(organization.toLowerCase()).toBe('acme');
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  });

  test.skipIf(isExpectMissing('the question for the organization'))(
    'in a terminal it is asked for before the token, whose page is that of the organization',
    async () => {
      const azure = await startAzureDevops();
      const sandbox = guardAll(createSandbox(), azure);
      const args = ['link', 'azure-devops', '--host', azure.url, '--method', 'token', '--no-setup-git'];
      const dialogue = [
        ['Send your credential to', enter],
        ['Which organization', `acme${enter}`],
        [`/acme/_usersettings/tokens`, ''],
        ['Paste the token', `$env(TOKEN)${enter}`],
        ['May this link be used for everything', enter],
        // A slip is asked for again.
        ['(unknown)', `next year${enter}`],
        ['--expires takes a date', ''],
        ['When does this token end?', `2027-03-31${enter}`],
      ] as const;
      const run = await converse(sandbox, args, dialogue, { TOKEN: azure.addToken().secret });
      expect(run, run.stdout).toMatchObject({ exitCode: 0 });
      expect(readLinks(sandbox)).toMatchObject([
        { organization: 'acme', expiresAt: Date.parse('2027-03-31T00:00:00Z'), status: 'ok' },
      ]);
    },
  );

  test('two organizations on one host: two links, told apart by list, show, repos and git', async () => {
    const { azure, sandbox } = await createLinkedAzure();
    await linkToken({ sandbox, azure }, { organization: 'acme-labs' }, ['--name', 'labs']);
    const listed = await sandbox.run(['list', '--check', '--json']);
    expect(listed, listed.stderr).toMatchObject({ exitCode: 0 });
    expect(listed.json()).toMatchObject({
      links: [
        { name: 'azure-devops', organization: 'acme', status: 'ok' },
        { name: 'labs', organization: 'acme-labs', status: 'ok' },
      ],
    });
    expect((await sandbox.run(['list'])).stdout).toContain(`${azure.url}/acme-labs\t`);
    // One person is somebody else in each organization.
    const ids = readLinks(sandbox).map(({ account }) => (account as { id: string }).id);
    expect(new Set(ids).size).toBe(2);
    expect((await sandbox.run(['show', 'labs'])).stdout).toContain('acme-labs');
    expect((await sandbox.run(['repos', 'labs'])).stdout).toContain('acme-labs/Lab/probe');
    expect((await sandbox.run(['repos', 'labs'])).stdout).not.toContain('acme/Platform');
    for (const [path, name] of [
      ['acme/Platform/_git/api', 'azure-devops'],
      ['acme-labs/Lab/_git/probe', 'labs'],
      ['others/Tools/_git/hammer', null],
    ] as const) {
      const run = await sandbox.run(['explain', `${azure.url}/${path}`, '--json']);
      expect([path, run.json()['chosen']]).toEqual([path, name]);
    }
  });
});

describe('fact 6: the answer to a bad credential is a page', () => {
  test('every call spares itself the page', async () => {
    const { azure, sandbox } = await createLinkedAzure();
    await sandbox.run(['repos']);
    const calls = azure.requests.filter(({ path }) => path.includes('/_apis/'));
    expect(calls.length).toBeGreaterThan(2);
    for (const { headers } of calls) expect(headers).toMatchObject({ 'x-tfs-fedauthredirect': 'Suppress' });
  });

  test('203 with a page is never success: no link, exit 4', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    // The first question goes without it.
    azure.faults.add({ fault: { kind: 'html', status: 203 }, path: /connectionData/, skip: 1 });
    const { secret } = azure.addToken();
    const run = await sandbox.run(linkArgs(azure, '--with-token', '--json'), { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('302 to the page of its own is a bad credential', async () => {
    const { azure, sandbox } = await createLinkedAzure();
    const answer = { status: 302, headers: { location: `${azure.url}/_signin?realm=dev` } };
    azure.faults.add({ fault: { kind: 'answer', answer }, path: /git\/repositories/ });
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
  });

  const foreign = [
    [
      '302 to the page of a network',
      { status: 302, headers: { location: 'https://login.hotel.example/_guest' } },
    ],
    ['200 with a page', { status: 200, text: '<html>Welcome</html>', contentType: 'text/html' }],
    ['401 of something else', { status: 401, text: '<html>Proxy</html>', contentType: 'text/html' }],
    ['502 of a gateway', { status: 502, text: '<html>Gateway</html>', contentType: 'text/html' }],
  ] as const;

  test.each(foreign)(
    '%s says nothing about the token: exit 7, and the link stays good',
    async (_name, answer) => {
      const { azure, sandbox } = await createLinkedAzure();
      azure.faults.add({ fault: { kind: 'answer', answer }, path: /_apis/ });
      const env = hurry(sandbox);
      const repos = await sandbox.run(['repos', '--json'], { env });
      expect(repos, repos.stderr).toMatchObject({ exitCode: 7 });
      expect(repos.json()).toMatchObject({ error: { code: 'unreachable' } });
      expect(repos.stderr).not.toMatch(/revoked|expired|wrong token/);
      await sandbox.run(['list', '--check'], { env });
      const [link] = readLinks(sandbox);
      expect(['ok', 'unreachable']).toContain(link?.['status']);
    },
  );

  test('a connection that is cut while linking: exit 7, and no word of a bad token', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    azure.faults.add({ fault: { kind: 'cut' }, path: /connectionData/ });
    const { secret } = azure.addToken();
    const args = linkArgs(azure, '--with-token', '--json');
    const run = await sandbox.run(args, { input: secret, env: hurry(sandbox) });
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    expect(run.stderr).not.toContain('_usersettings');
  });
});

describe('facts 3, 4: what Azure DevOps does not offer', () => {
  test('fact 3: its own OAuth is closed: link by browser needs a client of Entra, and says how to register one', async () => {
    const azure = await startAzureDevops();
    const sandbox = createSandbox();
    const run = await runWithBrowser(sandbox, linkArgs(azure, '--method', 'oauth', '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('client add azure-devops');
    expect(run.stderr).not.toContain('vssps.visualstudio.com');
    const added = await sandbox.run(['client', 'add', 'azure-devops', '--host', azure.url, '--json']);
    expect(added).toMatchObject({ exitCode: 2 });
    for (const word of ['http://localhost/callback', 'vso.code_write', 'Allow public client flows'])
      expect(added.stderr).toContain(word);
  });

  test('fact 4: personal Microsoft accounts: exit 6 with the way by token, which works', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    const { clientId } = azure.oauth.addApplication();
    const place = ['--organization', 'homebrew'];
    for (const method of ['oauth', 'device']) {
      const args = linkArgs(azure, ...place, '--method', method, '--client-id', clientId, '--json');
      const run = await runWithBrowser(sandbox, args);
      expect(run, run.stderr).toMatchObject({ exitCode: 6, visit: null });
      expect(run.stderr).toContain('personal Microsoft accounts');
      expect(run.stderr).toContain('--method token');
    }
    expect(azure.requests.filter(({ path }) => path.startsWith('/login/'))).toEqual([]);
    await linkToken({ sandbox, azure }, { user: 'mia', organization: 'homebrew' });
    expect((await sandbox.run(['repos'])).stdout).toContain('homebrew/Beer/ale');
  });
});

describe('repositories and restriction', () => {
  test('namespaces are organization/project, with names as they are', async () => {
    const { sandbox } = await createLinkedAzure();
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { repositories } = run.json<{
      repositories: { fullName: string; namespace: string; cloneUrl: string }[];
    }>();
    const strange = repositories.find(({ fullName }) => fullName === 'acme/Straße Süd/werk zeug');
    expect(strange).toMatchObject({
      namespace: 'acme/Straße Süd',
      cloneUrl: expect.stringMatching(/\/acme\/Stra%C3%9Fe%20S%C3%BCd\/_git\/werk%20zeug$/) as string,
    });
    const names = repositories.map(({ fullName }) => fullName);
    expect(names).toContain('acme/Platform/Platform');
    expect(names).not.toContain('acme/Going/gone');
    const some = await sandbox.run(['repos', '--namespace', 'acme/Straße Süd']);
    expect(some.stdout.trim().split('\n')).toHaveLength(2);
    expect(await sandbox.run(['repos', '--namespace', 'acme/Nothing'])).toMatchObject({ exitCode: 5 });
  });

  test('250 projects and 300 repositories: none is lost between the pages', async () => {
    const world = {
      users: [{ login: 'ada', tenant: 'acme' }],
      organizations: [
        {
          name: 'acme',
          tenant: 'acme',
          members: { ada: 'administrator' },
          projects: [
            { name: 'Big', count: 250, repositories: [{ name: 'one' }] },
            { name: 'Deep', repositories: [{ name: 'r', count: 50 }] },
          ],
        },
      ],
    } as const;
    const { sandbox } = await createLinkedAzure({ azure: { world } });
    const run = await sandbox.run(['repos', '--json']);
    expect(run.json<{ repositories: unknown[] }>().repositories).toHaveLength(300);
    // The last project is on the third page.
    const last = await sandbox.run(['restrict', 'azure-devops', 'acme/Deep', '--json']);
    expect(last, last.stderr).toMatchObject({ exitCode: 0 });
  });

  test('to a project whose name has a space and other letters: show, repos and list say it as it is', async () => {
    const { sandbox } = await createLinkedAzure();
    const run = await sandbox.run(['restrict', 'azure-devops', 'acme/straße Süd', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: { restriction: { namespaces: ['acme/Straße Süd'] }, enforcement: 'local' },
    });
    const repos = await sandbox.run(['repos']);
    expect(repos.stdout).toContain('acme/Straße Süd/api');
    expect(repos.stdout).not.toContain('Platform');
    expect((await sandbox.run(['show'])).stdout).toContain('acme/Straße Süd');
    const added = await sandbox.run(['restrict', 'azure-devops', '--add', '--repo', 'acme/Platform/api']);
    expect(added, added.stderr).toMatchObject({ exitCode: 0 });
    expect((await sandbox.run(['repos'])).stdout).toContain('acme/Platform/api');
    expect((await sandbox.run(['repos'])).stdout).not.toContain('acme/Platform/gateway');
  });

  test.each([
    ['no such project', ['acme/Nothing']],
    ['a project without its organization', ['Platform']],
    ['no such repository', ['--repo', 'acme/Platform/nothing']],
    ['a project of another organization', ['others/Tools']],
  ])('%s: exit 5, and nothing changes', async (_name, wish) => {
    const { sandbox } = await createLinkedAzure({ link: ['--namespace', 'acme/Platform'] });
    const run = await sandbox.run(['restrict', 'azure-devops', ...wish, '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 5 });
    if (!wish.includes('--repo')) expect(run.stderr).toContain('acme/Platform');
    expect(readLinks(sandbox)).toMatchObject([{ restriction: { namespaces: ['acme/Platform'] } }]);
  });

  test('a project that was renamed: its repositories are found again by their ids', async () => {
    const { azure, sandbox } = await createLinkedAzure({ link: ['--repo', 'acme/Platform/api'] });
    const project = azure.state.findOrganization('acme')?.projects.find(({ name }) => name === 'Platform');
    if (project) project.name = 'Plattform';
    const run = await sandbox.run(['repos', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ repositories: [{ fullName: 'acme/Plattform/api' }] });
  });
});

describe('Azure DevOps Server', () => {
  test('a collection below /tfs, an older version, a token of the old shape', async () => {
    const { azure, sandbox } = await createLinkedServer();
    expect((await sandbox.run(['show', '--json'])).json()).toMatchObject({
      link: {
        provider: 'azure-devops',
        flavour: 'azure-devops-server',
        host: azure.url,
        organization: 'DefaultCollection',
        account: { kind: 'user' },
        status: 'ok',
      },
    });
    const repos = await sandbox.run(['repos']);
    expect(repos.stdout).toContain('DefaultCollection/Platform/api');
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect(azure.requests.some(({ status }) => status === 400)).toBe(true);
  });

  test.each([
    ['the collection', '/DefaultCollection'],
    ['a repository', '/DefaultCollection/Platform/_git/api'],
  ])('by the address of %s', async (_name, path) => {
    const azure = await startAzureServer();
    const sandbox = guardAll(createSandbox(), azure);
    const { secret } = azure.addToken({ organization: 'DefaultCollection' });
    const run = await sandbox.run(['link', azure.url + path, '--with-token', '--json'], { input: secret });
    expect(linkOf(run)).toMatchObject({ host: azure.url, organization: 'DefaultCollection' });
  });

  test('no collection: exit 2; one that is not there: exit 5; a bad token: exit 4 without a word of global ones', async () => {
    const azure = await startAzureServer();
    const sandbox = guardAll(createSandbox(), azure);
    const { secret } = azure.addToken({ organization: 'DefaultCollection' });
    const args = ['link', 'azure-devops', '--host', azure.url, '--with-token', '--json'];
    expect(await sandbox.run(args, { input: secret })).toMatchObject({ exitCode: 2 });
    const wrong = await sandbox.run([...args, '--organization', 'Nothing'], { input: secret });
    expect(wrong, wrong.stderr).toMatchObject({ exitCode: 5 });
    const dead = azure.addToken({ organization: 'DefaultCollection' });
    dead.revoked = true;
    const refused = await sandbox.run([...args, '--organization', 'DefaultCollection'], {
      input: dead.secret,
    });
    expect(refused, refused.stderr).toMatchObject({ exitCode: 4 });
    expect(refused.stderr).not.toContain('2026-12-01');
  });

  test('fact 4: no Entra there: exit 6 with the way by token', async () => {
    const azure = await startAzureServer();
    const sandbox = createSandbox();
    const args = linkArgs(azure, '--organization', 'DefaultCollection', '--method', 'oauth', '--json');
    const run = await runWithBrowser(sandbox, [...args, '--client-id', 'canary-client']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('--method token');
  });
});
