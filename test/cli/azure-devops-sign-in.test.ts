import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PersonalToken } from '../simulators/azure-devops/token-state.ts';
import type { AzureDevopsSimulator } from '../simulators/azure-devops/server.ts';
import { requireOrganization, requireUser } from '../simulators/azure-devops/state.ts';
import { askHelper, readLinks, toRequest } from '../support/ask-git.ts';
import { visit } from '../support/browser.ts';
import {
  assertDone,
  createAzureWithClient,
  createSignedInAzure,
  guardAll,
  hooksAt,
  linkArgs,
  linkToken,
  listAccessTokens,
  listForms,
  startAzureDevops,
  type AzureWithClient,
} from '../support/linked-azure-devops.ts';
import { readLinksOrNone } from '../support/linked-bitbucket.ts';
import { createSandbox, type Run } from '../support/sandbox.ts';
import { readPassword } from './refresh-hosts.ts';
import { hurry, shiftClock } from './refresh-kit.ts';
import { runWithBrowser, runWithCode } from './sign-in-kit.ts';
import { outcomesOf, receiverUrl, regenerate } from './webhooks-kit.ts';

const hour = 3_600_000;

function linkOf(run: Run): Readonly<Record<string, unknown>> {
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return run.json<{ link: Readonly<Record<string, unknown>> }>().link;
}

/** The addresses of Entra that were asked for, without their queries. */
function listTenants({ requests }: AzureDevopsSimulator): readonly string[] {
  const found = requests.flatMap(
    ({ path }) => /^\/login\/([^/]+)\/oauth2\/v2\.0\/(?:authorize|token)$/.exec(path)?.[1] ?? [],
  );
  return [...new Set(found)];
}

describe('fact 3: signing in at Entra by a browser', () => {
  test('facts 3, 5: at the tenant of the organization, with PKCE and Bearer; scopes and account are told', async () => {
    const { sandbox, azure } = await createAzureWithClient();
    const run = await runWithBrowser(sandbox, linkArgs(azure, '--json'));
    expect(linkOf(run)).toMatchObject({
      name: 'azure-devops',
      method: 'oauth',
      organization: 'acme',
      account: { login: 'ada@acme.test', kind: 'user' },
      scopes: ['vso.code'],
      expiresAt: null,
      status: 'ok',
    });
    expect(run.visit?.text).toContain('Signed in to');
    expect(run.visit?.addresses.some((url) => /^http:\/\/localhost:\d+\/callback\?/.test(url))).toBe(true);
    expect(listTenants(azure)).toEqual([requireOrganization(azure.state, 'acme').tenant]);
    expect(azure.oauth.tokenRequests).toEqual([{ grantType: 'authorization_code', error: null }]);
    expect(listForms(azure)).toEqual(['bearer']);
    expect((await sandbox.run(['repos'])).stdout).toContain('acme/Straße Süd/werk zeug');
  });

  test('another organization of the same tenant is another link by the same client', async () => {
    const { sandbox, azure } = await createSignedInAzure();
    const run = await runWithBrowser(
      sandbox,
      linkArgs(azure, '--organization', 'acme-labs', '--name', 'labs', '--json'),
    );
    expect(linkOf(run)).toMatchObject({ name: 'labs', organization: 'acme-labs' });
    expect((await sandbox.run(['repos', 'labs'])).stdout).toContain('acme-labs/Lab/probe');
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('fact 5: the account of another tenant stays on the page of Entra; nothing is kept', async () => {
    const { sandbox, azure } = await createAzureWithClient();
    azure.oauth.person.signedInAs = 'eve';
    const run = await runWithBrowser(sandbox, linkArgs(azure, '--timeout', '3', '--json'));
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.visit?.text).toContain('AADSTS50020');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('fact 5: a member of the tenant who is no member of the organization: exit 4 with what to do', async () => {
    const { sandbox, azure } = await createAzureWithClient();
    azure.oauth.person.signedInAs = 'bob';
    const run = await runWithBrowser(sandbox, linkArgs(azure, '--organization', 'acme-labs', '--json'));
    expect([4, 6]).toContain(run.exitCode);
    expect(run.stderr).toContain('acme-labs');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('fact 4: a tenant that wants its administrator to agree: said, with the way by token', async () => {
    const { sandbox, azure } = await createAzureWithClient({ client: { needsAdministrator: true } });
    const run = await runWithBrowser(sandbox, linkArgs(azure, '--timeout', '3', '--json'));
    expect([4, 6]).toContain(run.exitCode);
    expect(`${run.visit?.text ?? ''}${run.stderr}`).toMatch(/administrator|AADSTS90094/);
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('declined: exit 4, and the page says so', async () => {
    const { sandbox, azure } = await createAzureWithClient();
    const run = await runWithBrowser(sandbox, linkArgs(azure, '--json'), {
      act: (url) => visit(url, 'deny'),
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.visit?.text).toContain('Not signed in');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('a client that another tenant registered for itself: exit 2 naming the registration', async () => {
    const { sandbox, azure } = await createAzureWithClient();
    const tenant = requireUser(azure.state, 'eve').tenant;
    const { clientId } = azure.oauth.addApplication({ tenant });
    const args = linkArgs(azure, '--client-id', clientId, '--timeout', '3', '--json');
    const run = await runWithBrowser(sandbox, args);
    expect(run.exitCode).not.toBe(0);
    expect(`${run.visit?.text ?? ''}${run.stderr}`).toContain('700016');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('--for push and admin ask for what they need, and a scope that is missing is named', async () => {
    const { sandbox, azure } = await createAzureWithClient();
    const run = await runWithBrowser(sandbox, linkArgs(azure, '--for', 'push', '--for', 'admin', '--json'));
    expect(linkOf(run)['scopes']).toEqual(['vso.code_write', 'vso.pats_manage']);
    const shown = await sandbox.run(['show']);
    expect(shown.stdout).toContain('vso.code_write');
  });

  test('the host tells no organizations: without --organization an account hears which it is in', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    const { secret } = azure.addEntraToken();
    const args = ['link', 'azure-devops', '--host', azure.url, '--with-token', '--json'];
    const run = await sandbox.run(args, { input: secret });
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('acme, acme-labs');
  });
});

describe('signing in by a code', () => {
  test('the code is entered at the page of Entra; the sign-in is renewed later', async () => {
    const { sandbox, azure } = await createAzureWithClient();
    azure.oauth.polls.intervalS = 1;
    const run = await runWithCode(sandbox, linkArgs(azure, '--method', 'device', '--json'), (code) =>
      azure.oauth.decideDevice(code, 'approve'),
    );
    expect(linkOf(run)).toMatchObject({ method: 'device', account: { login: 'ada@acme.test' } });
    expect(run.shown?.address.startsWith(azure.url)).toBe(true);
    azure.oauth.endAccessTokens();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
    expect(azure.oauth.countExchanges('refresh_token')).toBe(1);
  });

  test('declined: exit 4; a registration without public flows: exit 2 naming the switch', async () => {
    const { sandbox, azure, client } = await createAzureWithClient();
    azure.oauth.polls.intervalS = 1;
    const args = linkArgs(azure, '--method', 'device', '--json');
    const denied = await runWithCode(sandbox, args, (code) => azure.oauth.decideDevice(code, 'deny'));
    expect(denied, denied.stderr).toMatchObject({ exitCode: 4 });
    client.allowsPublicFlows = false;
    const run = await runWithCode(sandbox, args, () => undefined);
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('Allow public client flows');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });
});

describe('renewal', () => {
  test('fact 5: a refused access token is renewed at the same tenant, and the new pair is used from then on', async () => {
    const { sandbox, azure } = await createSignedInAzure();
    const { tenant } = requireOrganization(azure.state, 'acme');
    expect(readLinks(sandbox)).toMatchObject([{ tenant }]);
    for (const times of [1, 2]) {
      azure.oauth.endAccessTokens();
      expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
      expect(azure.oauth.countExchanges('refresh_token')).toBe(times);
    }
    expect(azure.oauth.tokenRequests.filter(({ error }) => error !== null)).toEqual([]);
    expect(listTenants(azure)).toEqual([tenant]);
  });

  test('eight commands and helpers at once renew once, although Entra would let them all', async () => {
    const { sandbox, azure } = await createSignedInAzure();
    const env = shiftClock(sandbox, 4_500_000 - 30_000);
    const request = toRequest(`${azure.url}/acme/Platform/_git/api`);
    const runs = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6, 7].map((index) =>
        index % 2 === 0
          ? askHelper(sandbox, 'git-credential-gitlink', 'get', request, { env })
          : sandbox.run(['list', '--check'], { env }),
      ),
    );
    for (const run of runs) expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(azure.oauth.countExchanges('refresh_token')).toBe(1);
    const passwords = runs.filter((_, index) => index % 2 === 0).map(readPassword);
    expect(new Set(passwords)).toEqual(new Set([listAccessTokens(azure)[1]]));
  });

  test('an answer that was lost costs nothing: the old refresh token is still good', async () => {
    const { sandbox, azure } = await createSignedInAzure();
    azure.oauth.endAccessTokens();
    azure.oauth.spoilNextTokenAnswer((response) => response.destroy());
    const run = await sandbox.run(['repos', '--json'], { env: hurry(sandbox) });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test.each([700082, 50173, 50076, 65001] as const)(
    'AADSTS%d: the sign-in is over: exit 4, revoked, the line that mends it, nothing is deleted',
    async (code) => {
      const { sandbox, azure } = await createSignedInAzure();
      azure.oauth.endAccessTokens();
      azure.oauth.refuseRefreshes(code);
      const run = await sandbox.run(['repos', '--json']);
      expect(run, run.stderr).toMatchObject({ exitCode: 4 });
      expect(run.stderr).toContain('gitlink relink azure-devops');
      expect(readLinks(sandbox)).toMatchObject([{ name: 'azure-devops', status: 'revoked' }]);
      azure.oauth.refuseRefreshes(null);
      const relinked = await runWithBrowser(sandbox, ['relink']);
      expect(relinked, relinked.stderr).toMatchObject({ exitCode: 0 });
      expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    },
  );

  test('Entra that is away says nothing about the sign-in: exit 7, and later it is renewed', async () => {
    const { sandbox, azure } = await createSignedInAzure();
    azure.oauth.endAccessTokens();
    const heal = azure.faults.add({ fault: { kind: 'cut' }, path: /oauth2\/v2\.0\/token$/ });
    const run = await sandbox.run(['repos', '--json'], { env: hurry(sandbox) });
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    heal();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  });

  test('webhooks are made with a sign-in that ends in the middle', async () => {
    const made = await createSignedInAzure({ link: ['--namespace', 'acme/Straße Süd'] });
    const { azure } = made;
    azure.faults.add({
      fault: { kind: 'answer', answer: { status: 401, headers: { 'x-vss-e2eid': 'canary' }, json: {} } },
      method: 'POST',
      path: /hooks\/subscriptions/,
      skip: 2,
      times: 1,
    });
    const run = await regenerate(made, ['--url', receiverUrl]);
    expect(run, run.stdout + run.stderr).toMatchObject({ exitCode: 0 });
    expect(Object.values(outcomesOf(run))).toEqual(['create confirmed', 'create confirmed']);
    expect(hooksAt(azure, 'acme/Straße Süd/api')).toHaveLength(3);
    expect(azure.oauth.countExchanges('refresh_token')).toBe(1);
  });
});

describe('fact 10: nothing ends a sign-in at Entra', () => {
  test('unlink forgets it and names the page; the link is gone', async () => {
    const { sandbox, azure } = await createSignedInAzure();
    const run = await sandbox.run(['unlink', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { remaining } = run.json<{ remaining: { what: string; url: string }[] }>();
    expect(remaining).toMatchObject([{ url: `${azure.url}/login/applications` }]);
    expect(readLinks(sandbox)).toEqual([]);
    const forgotten = readFileSync(join(sandbox.configDirectory, 'secrets.vault'), 'utf8');
    expect((JSON.parse(forgotten.split('\n')[0] ?? '') as { records: unknown[] }).records).toEqual([]);
  });

  test('rotate renews it, because there is nothing else to replace', async () => {
    const { sandbox, azure } = await createSignedInAzure();
    const run = await sandbox.run(['rotate', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(azure.oauth.countExchanges('refresh_token')).toBe(1);
  });
});

describe('fact 9: a personal access token by way of a sign-in of the same person', () => {
  async function createBoth(): Promise<AzureWithClient & { readonly token: PersonalToken }> {
    const made = await createSignedInAzure({ link: ['--for', 'admin', '--name', 'person'] });
    return { ...made, token: await linkToken(made, {}, ['--name', 'pat']) };
  }

  const listAlive = ({ state }: AzureDevopsSimulator): readonly PersonalToken[] =>
    [...state.tokens.values()].filter((each): each is PersonalToken => each.kind === 'pat' && !each.revoked);

  test('rotate --via: a new token of the same scopes, the old one is dead, and again', async () => {
    const { sandbox, azure, token } = await createBoth();
    const run = await sandbox.run(['rotate', 'pat', '--via', 'person', '--expires', '2027-03-31', '--json']);
    expect(linkOf(run)).toMatchObject({ name: 'pat', expiresAt: '2027-03-31T00:00:00.000Z', status: 'ok' });
    expect(token.revoked).toBe(true);
    expect(listAlive(azure)).toMatchObject([{ scopes: ['vso.code_write'] }]);
    expect((await sandbox.run(['repos', 'pat'])).stdout).toContain('acme/Platform/api');
    expect(linkOf(await sandbox.run(['rotate', 'pat', '--via', 'person', '--json']))).toMatchObject({
      status: 'ok',
    });
    expect(listAlive(azure)).toHaveLength(1);
    // A third that somebody made does not confuse it: gitlink's has a name that only its owner can tell.
    azure.addToken();
    expect(linkOf(await sandbox.run(['rotate', 'pat', '--via', 'person', '--json']))).toMatchObject({
      status: 'ok',
    });
    expect(listAlive(azure)).toHaveLength(2);
  });

  test.each([
    ['making tokens is off', { allowsCreation: false }, /policy|may not|not allow/i],
    ['too long a life', { maxLifespanDays: 7 }, /shorter lives/],
  ])(
    '%s: the error inside a 200 is told, exit 6, and the old token lives on',
    async (_name, policies, words) => {
      const { sandbox, azure, token } = await createBoth();
      Object.assign(requireOrganization(azure.state, 'acme').policies, policies);
      const run = await sandbox.run(['rotate', 'pat', '--via', 'person', '--json']);
      expect(run, run.stderr).toMatchObject({ exitCode: 6 });
      expect(run.stderr).toMatch(words);
      expect(run.stderr).toContain('/acme/_usersettings/tokens');
      expect(listAlive(azure)).toEqual([token]);
      expect(await sandbox.run(['repos', 'pat'])).toMatchObject({ exitCode: 0 });
    },
  );

  test('several that could be it: none is touched, and the name that would tell is said', async () => {
    const { sandbox, azure } = await createBoth();
    azure.addToken();
    const run = await sandbox.run(['rotate', 'pat', '--via', 'person', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toMatch(/name it "gitlink [0-9a-f]{8}"/);
    expect(listAlive(azure)).toHaveLength(2);
  });

  test('unlink --via --revoke ends it, and proves it', async () => {
    const { sandbox, token } = await createBoth();
    const run = await sandbox.run(['unlink', 'pat', '--revoke', '--via', 'person', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ remaining: [] });
    expect(token.revoked).toBe(true);
    expect(readLinks(sandbox)).toMatchObject([{ name: 'person' }]);
  });

  test('unlink --revoke without --via: forgotten, with its page', async () => {
    const { sandbox, azure, token } = await createBoth();
    const run = await sandbox.run(['unlink', 'pat', '--revoke', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ remaining: [{ url: `${azure.url}/acme/_usersettings/tokens` }] });
    expect(token.revoked).toBe(false);
  });

  test('a sign-in without that permission, and one of somebody else: exit 6 with what is missing', async () => {
    const made = await createSignedInAzure({ link: ['--name', 'person'] });
    const { sandbox } = made;
    const token = await linkToken(made, {}, ['--name', 'pat']);
    const run = await sandbox.run(['rotate', 'pat', '--via', 'person', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('--for admin');
    await linkToken(made, { user: 'bob' }, ['--name', 'bobs']);
    const other = await sandbox.run(['rotate', 'bobs', '--via', 'person', '--json']);
    expect(other, other.stderr).toMatchObject({ exitCode: 6 });
    expect(other.stderr).toContain('another account');
    expect(token.revoked).toBe(false);
  });
});

describe('a service principal', () => {
  async function createProgram(link: readonly string[] = []) {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    const client = azure.oauth.addApplication({ confidential: true, servicePrincipal: 'ci' });
    const secret = sandbox.guard(client.secret ?? '');
    const args = linkArgs(azure, '--method', 'app', '--client-id', client.clientId, ...link, '--json');
    const run = await sandbox.run([...args, '--client-secret-env', 'CLIENT_SECRET'], {
      env: { CLIENT_SECRET: secret },
    });
    return { azure, sandbox, client, run };
  }

  test('links by its secret, lists, clones, and gets a new token when the old one ends', async () => {
    const { azure, sandbox, run } = await createProgram(['--setup-git']);
    expect(linkOf(run)).toMatchObject({
      method: 'app',
      account: { login: 'Build robot', kind: 'serviceAccount' },
      expiresAt: null,
      status: 'ok',
    });
    expect((await sandbox.run(['list'])).stdout).not.toContain('as installed');
    expect(listForms(azure)).toEqual(['bearer']);
    expect(azure.oauth.countExchanges('client_credentials')).toBe(1);
    expect((await sandbox.run(['repos'])).stdout).toContain('acme/Platform/api');
    const clone = await sandbox.runProgram('git', [
      'clone',
      '--quiet',
      `${azure.url}/acme/Platform/_git/api`,
      'api',
    ]);
    expect(clone, clone.stderr).toMatchObject({ exitCode: 0 });
    expect(azure.oauth.countExchanges('client_credentials')).toBe(1);
    const later = await sandbox.run(['list', '--check'], { env: shiftClock(sandbox, 2 * hour) });
    expect(later, later.stderr).toMatchObject({ exitCode: 0 });
    expect(azure.oauth.countExchanges('client_credentials')).toBe(2);
    azure.oauth.endAccessTokens();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  });

  test('unlink forgets it: no call ends it, and the link is gone', async () => {
    const { sandbox } = await createProgram();
    const run = await sandbox.run(['unlink', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('a wrong secret: exit 4; without one: exit 2; nothing is kept', async () => {
    const azure = await startAzureDevops();
    const sandbox = guardAll(createSandbox(), azure);
    const { clientId } = azure.oauth.addApplication({ confidential: true, servicePrincipal: 'ci' });
    const file = join(sandbox.home, 'secret.txt');
    writeFileSync(file, 'canary-wrong-secret\n');
    const args = linkArgs(azure, '--method', 'app', '--client-id', clientId, '--json');
    const wrong = await sandbox.run([...args, '--client-secret-file', file]);
    expect(wrong, wrong.stderr).toMatchObject({ exitCode: 4 });
    const without = await sandbox.run(linkArgs(azure, '--method', 'app', '--json'));
    expect(without, without.stderr).toMatchObject({ exitCode: 2 });
    expect(without.stderr).toContain('--client-secret-file');
    expect(readLinksOrNone(sandbox)).toEqual([]);
  });

  test('it cannot manage tokens of people: rotate --via names why', async () => {
    const { azure, sandbox } = await createProgram(['--name', 'robot']);
    await linkToken({ sandbox, azure }, {}, ['--name', 'pat']);
    const run = await sandbox.run(['rotate', 'pat', '--via', 'robot', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('only the sign-in of a person');
  });

  test('webhooks of a project that it administers', async () => {
    const made = await createProgram();
    const { azure } = made;
    const project = requireOrganization(azure.state, 'acme').projects.find(({ name }) => name === 'Platform');
    project?.roles.set(requireUser(azure.state, 'ci').id, 'administrator');
    const run = await regenerate(made, ['--url', receiverUrl, '--repo', 'acme/Platform/api']);
    expect(run, run.stdout + run.stderr).toMatchObject({ exitCode: 0 });
    expect(hooksAt(azure, 'acme/Platform/api')).toHaveLength(3);
  });
});

test('a token of Entra that somebody pasted: it ends by itself, and is told so', async () => {
  const azure = await startAzureDevops();
  const sandbox = guardAll(createSandbox(), azure);
  const { secret } = azure.addEntraToken();
  const run = await sandbox.run(linkArgs(azure, '--with-token', '--json'), { input: secret });
  expect(linkOf(run)['expiresAt']).not.toBeNull();
  expect(listForms(azure)).toEqual(['bearer']);
  assertDone(await sandbox.run(['repos']));
  azure.oauth.endAccessTokens();
  const dead = await sandbox.run(['repos', '--json']);
  expect(dead, dead.stderr).toMatchObject({ exitCode: 4 });
});
