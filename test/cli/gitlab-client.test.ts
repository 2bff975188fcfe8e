import { describe, expect, test } from 'vitest';
import type { GitlabSimulator, GitlabSimulatorOptions } from '../simulators/gitlab/server.ts';
import type { NewToken } from '../simulators/gitlab/token-state.ts';
import { readLinks } from '../support/ask-git.ts';
import {
  createGitlabSandbox,
  createGitlabWithClient,
  createSignedInGitlab,
  listAliveSignIns,
  startGitlab,
} from '../support/linked-gitlab.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';
import { runWithBrowser } from './sign-in-kit.ts';

interface Created {
  readonly gitlab: GitlabSimulator;
  readonly sandbox: Sandbox;
  /** Of the person who has the client registered. */
  readonly token: string;
  readonly run: Run;
}

/** Has the host register a client. */
async function create(options: GitlabSimulatorOptions = {}, token: NewToken = {}): Promise<Created> {
  const gitlab = await startGitlab(options);
  const sandbox = createGitlabSandbox(gitlab);
  const { secret } = gitlab.addToken({ ...(token.granularScopes ? {} : { scopes: ['api'] }), ...token });
  const args = ['client', 'create', 'gitlab', '--host', gitlab.url, '--with-token', '--json'];
  return { gitlab, sandbox, token: secret, run: await sandbox.run(args, { input: secret }) };
}

/** Everything that a person has to enter on the page. */
const values = [
  '/-/user_settings/applications',
  'Name: gitlink',
  'Redirect URI: http://127.0.0.1/callback',
  'Confidential: no',
  'Scopes: api, read_api, read_user, read_repository, write_repository',
  'gitlink client add gitlab --host',
];

function expectValues(run: Run): void {
  for (const value of values) expect(run.stderr).toContain(value);
}

async function listClients(sandbox: Sandbox): Promise<unknown> {
  return (await sandbox.run(['client', 'list', '--json'])).json();
}

describe('client create gitlab', () => {
  test('registers a public client with a token that is not kept, and signing in works', async () => {
    const { gitlab, sandbox, run } = await create();
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const [application] = gitlab.state.applications.values();
    expect(application).toMatchObject({
      confidential: false,
      redirectUris: ['http://127.0.0.1/callback'],
      scopes: ['api', 'read_api', 'read_user', 'read_repository', 'write_repository'],
    });
    const clientId = application?.applicationId;
    // A public client has nothing to keep, though GitLab hands out a secret all the same.
    const client = {
      clientId,
      provider: 'gitlab',
      host: gitlab.url,
      hasSecret: false,
      isOwnRegistration: true,
    };
    expect(run.json()).toMatchObject({ client });
    expect(await listClients(sandbox)).toMatchObject({ clients: [{ ...client, links: [] }] });
    const linked = await runWithBrowser(sandbox, ['link', 'gitlab', '--host', gitlab.url, '--json']);
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
    expect(await listClients(sandbox)).toMatchObject({ clients: [{ links: ['gitlab'] }] });
  });

  test.each<[string, GitlabSimulatorOptions]>([
    ['gitlab.com, which has no API for it', { settings: { isGitlabCom: true } }],
    ['a server older than 19.0', { version: '18.11.0-ee' }],
  ])('%s: exit 6 with the page and everything to enter there', async (_name, options) => {
    const { sandbox, run } = await create(options);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.json()).toMatchObject({ error: { code: 'unsupported' } });
    expectValues(run);
    expect(await listClients(sandbox)).toMatchObject({ clients: [] });
  });

  test.each<[string, NewToken, number, RegExp]>([
    ['without the scope', { scopes: ['read_api'] }, 6, /personal access token with the scope api/],
    ["a project's", { kind: 'project', resource: 'acme/api', scopes: ['api'] }, 6, /personal access token/],
    ['that has expired', { expiresAt: '2026-01-01' }, 4, /./],
  ])('a token %s is refused, saying what it takes', async (_name, token, exitCode, words) => {
    const { sandbox, run } = await create({}, token);
    expect(run, run.stderr).toMatchObject({ exitCode });
    expect(run.stderr).toMatch(words);
    expect(await listClients(sandbox)).toMatchObject({ clients: [] });
  });

  test('without a token and a terminal: exit 2 with the page and everything to enter there', async () => {
    const gitlab = await startGitlab();
    const sandbox = createGitlabSandbox(gitlab);
    for (const action of ['create', 'add']) {
      const run = await sandbox.run(['client', action, 'gitlab', '--host', gitlab.url, '--json']);
      expect(run, run.stderr).toMatchObject({ exitCode: 2 });
      expectValues(run);
    }
  });

  test('--at-host: the registration goes, and with it the sign-ins', async () => {
    const { gitlab, sandbox, token } = await create();
    expect(await runWithBrowser(sandbox, ['link', 'gitlab', '--host', gitlab.url])).toMatchObject({
      exitCode: 0,
    });
    const early = await sandbox.run(['client', 'remove', '--yes', '--json']);
    expect(early).toMatchObject({ exitCode: 6 });
    expect(early.stderr).toContain('gitlink unlink gitlab');
    const args = ['client', 'remove', '--at-host', '--with-token', '--yes', '--json'];
    const run = await sandbox.run(args, { input: token });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(gitlab.state.applications.size).toBe(0);
    expect(await listAliveSignIns(gitlab)).toEqual([]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked' }]);
    const unlinked = await sandbox.run(['unlink', '--yes']);
    expect(unlinked, unlinked.stderr).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['client', 'remove', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(await listClients(sandbox)).toMatchObject({ clients: [] });
  });
});

describe('client add gitlab', () => {
  test('a confidential one: its secret is sent where it belongs, and printed nowhere', async () => {
    const made = await createSignedInGitlab({ application: { confidential: true } });
    const { gitlab, sandbox, application } = made;
    expect(await listClients(sandbox)).toMatchObject({
      clients: [{ clientId: application.applicationId, hasSecret: true, isOwnRegistration: false }],
    });
    const sent = gitlab.requests.find(({ path }) => path === '/oauth/token');
    expect(sent?.body).toMatchObject({ client_secret: application.secret });
    await gitlab.oauth.endAccessTokens();
    expect(await sandbox.run(['repos', '--verbose'])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['unlink', '--yes', '--verbose'])).toMatchObject({ exitCode: 0 });
    expect(await listAliveSignIns(gitlab)).toEqual([]);
  });

  test('with a wrong secret nobody signs in: exit 4, naming what to compare', async () => {
    const gitlab = await startGitlab();
    const sandbox = createGitlabSandbox(gitlab);
    const { applicationId } = gitlab.oauth.addApplication({ confidential: true });
    const wrong = sandbox.guard('canary-wrong-client-secret');
    const args = [
      'client',
      'add',
      'gitlab',
      '--host',
      gitlab.url,
      '--client-id',
      applicationId,
      '--with-secret',
    ];
    expect(await sandbox.run(args, { input: wrong })).toMatchObject({ exitCode: 0 });
    const run = await runWithBrowser(sandbox, ['link', 'gitlab', '--host', gitlab.url, '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('gitlink client list');
    expect(run.visit?.text).toContain('Not signed in');
    // Added again with the right one it works.
    const right = [...gitlab.state.applications.values()][0]?.secret ?? '';
    expect(await sandbox.run(args, { input: right })).toMatchObject({ exitCode: 0 });
    const again = await runWithBrowser(sandbox, ['link', 'gitlab', '--host', gitlab.url]);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    expect(await listClients(sandbox)).toMatchObject({ clients: [{ links: ['gitlab'] }] });
  });

  test('a scope that the client was not registered with: exit 6, with both ways out', async () => {
    const { sandbox, gitlab } = await createGitlabWithClient({ application: { scopes: ['read_user'] } });
    const run = await runWithBrowser(sandbox, ['link', 'gitlab', '--host', gitlab.url, '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('--scope');
    const less = ['link', 'gitlab', '--host', gitlab.url, '--scope', 'read_user', '--json'];
    const linked = await runWithBrowser(sandbox, less);
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
    expect(linked.json()).toMatchObject({ link: { scopes: ['read_user'] } });
    expect(linked.stderr).toContain('The scope api is missing');
  });

  test('another redirect than gitlink listens on: the browser stays at GitLab, and the time ends it', async () => {
    const redirectUris = ['http://127.0.0.1/elsewhere'];
    const { sandbox, gitlab } = await createGitlabWithClient({ application: { redirectUris } });
    const args = ['link', 'gitlab', '--host', gitlab.url, '--timeout', '1', '--json'];
    const run = await runWithBrowser(sandbox, args);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.visit?.text).toContain('The redirect URI included is not valid');
  });

  test('remove by id, and one that is not there: exit 5', async () => {
    const { sandbox, application } = await createGitlabWithClient();
    expect(await sandbox.run(['client', 'remove', 'nothing', '--yes', '--json'])).toMatchObject({
      exitCode: 5,
    });
    const atHost = await sandbox.run(['client', 'remove', '--at-host', '--with-token', '--yes'], {
      input: 'canary-token-of-nobody',
    });
    expect(atHost, atHost.stderr).toMatchObject({ exitCode: 6 });
    const run = await sandbox.run(['client', 'remove', application.applicationId, '--yes']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await listClients(sandbox)).toMatchObject({ clients: [] });
  });
});
