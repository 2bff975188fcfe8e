import { describe, expect, test } from 'vitest';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';
import { readLinks } from '../support/ask-git.ts';
import { visit, type Visit } from '../support/browser.ts';
import { createGithubSandbox, startGithub, writeKey } from '../support/linked-github.ts';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { sendRequest } from '../simulators/send-request.ts';
import { runWithBrowser } from './sign-in-kit.ts';

const isInstalled = (url: string): boolean => url.includes('/settings/installations/');

/** Presses every button on the way: sends the form, creates the App, installs it. */
function pressAll(startUrl: string): Promise<Visit> {
  return visit(startUrl, 'approve', isInstalled);
}

async function setUp(): Promise<{ readonly github: GithubSimulator; readonly sandbox: Sandbox }> {
  const github = await startGithub();
  return { github, sandbox: createGithubSandbox(github) };
}

function link({ github, sandbox }: Awaited<ReturnType<typeof setUp>>, ...more: readonly string[]) {
  const args = ['link', 'github', '--host', github.url, '--json', ...more];
  return runWithBrowser(sandbox, args, { act: pressAll });
}

describe("a GitHub App of one's own", () => {
  test('one visit of the browser registers and installs it', async () => {
    const made = await setUp();
    const run = await link(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { method: 'app', account: { login: 'ada' }, status: 'ok' } });
    const [app, ...others] = made.github.state.apps.values();
    expect([app?.owner.login, app?.isPublic, app?.hook, others]).toEqual(['ada', false, null, []]);
    expect(app?.permissions).toEqual({ metadata: 'read', contents: 'write', repository_hooks: 'write' });
    // The browser goes from the local page to the page where the App is installed, in one tab.
    const visited = run.visit?.addresses.map((url) => new URL(url).pathname.replace(/[0-9a-f-]{8,}/g, ''));
    expect(visited).toContain('/callback/');
    expect(run.visit?.url).toMatch(/\/settings\/installations\/\d+$/);
  });

  test('an organization owns it, it may be public, and a webhook comes with it', async () => {
    const made = await setUp();
    const hook = 'http://127.0.0.1:9/hook';
    const run = await link(made, '--org', 'acme', '--public', '--webhook-url', hook, '--name', 'work');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: {
        account: { login: 'acme' },
        webhook: { url: hook, at: 'app', events: ['push', 'pull-request'] },
      },
    });
    const [app] = made.github.state.apps.values();
    expect([app?.owner.login, app?.isPublic, app?.hook?.url]).toEqual(['acme', true, hook]);
    const secret = await made.sandbox.run(['webhook-secret', 'work']);
    expect(secret.stdout.trim()).toBe(app?.hook?.secret);
  });

  test('client create registers it alone; link installs it afterwards', async () => {
    const made = await setUp();
    const { github, sandbox } = made;
    const created = await runWithBrowser(
      sandbox,
      ['client', 'create', 'github', '--host', github.url, '--json'],
      {
        act: (url) => visit(url, 'approve', (address) => address.includes('/installations/new')),
      },
    );
    expect(created, created.stderr).toMatchObject({ exitCode: 0 });
    expect(created.json()).toMatchObject({ client: { hasSecret: true, app: { owner: 'ada' }, links: [] } });
    const run = await link(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(github.state.apps.size).toBe(1);
  });

  test('a member who may not install it asks an owner: the link is pending, and finished later', async () => {
    const made = await setUp();
    const { github, sandbox } = made;
    const { app, pem } = github.addApp({ owner: 'ada', isPublic: true });
    const key = writeKey(sandbox, pem);
    const wanted = [...github.state.accounts.values()].find(({ login }) => login === 'others');
    const act = async (page: string): Promise<null> => {
      const target = `${new URL(page).origin}/github-apps/${app.slug}/installations?target_id=${wanted?.id ?? 0}`;
      await sendRequest(target, { method: 'POST' });
      return null;
    };
    const flags = ['--app-id', String(app.id), '--app-key-file', key];
    const run = await runWithBrowser(sandbox, ['link', 'github', '--host', github.url, '--json', ...flags], {
      act,
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: { status: 'pending', statusReason: 'approval', account: { login: 'others', id: null } },
    });
    expect(run.stderr).toContain('gitlink link --resume github');

    const early = await sandbox.run(['link', '--resume', 'github']);
    expect([early.exitCode, early.stderr]).toEqual([6, expect.stringContaining('No owner of others')]);
    const waiting = await sandbox.run(['list', '--check', '--json']);
    expect([waiting.exitCode, readLinks(sandbox)[0]?.status]).toEqual([0, 'pending']);

    const installation = github.approveRequest(app, 'others');
    const resumed = await sandbox.run(['link', '--resume', '--json']);
    expect(resumed, resumed.stderr).toMatchObject({ exitCode: 0 });
    expect(resumed.json()).toMatchObject({
      link: { status: 'ok', account: { id: String(installation.id) } },
    });
  });

  test('list --check finishes a pending link, too', async () => {
    const made = await setUp();
    const { github, sandbox } = made;
    const { app, pem } = github.addApp({ owner: 'ada', isPublic: true });
    const wanted = [...github.state.accounts.values()].find(({ login }) => login === 'others');
    const act = async (page: string): Promise<null> => {
      const target = `${new URL(page).origin}/github-apps/${app.slug}/installations?target_id=${wanted?.id ?? 0}`;
      await sendRequest(target, { method: 'POST' });
      return null;
    };
    const flags = ['--app-id', String(app.id), '--app-key-file', writeKey(sandbox, pem)];
    await runWithBrowser(sandbox, ['link', 'github', '--host', github.url, ...flags], { act });
    github.approveRequest(app, 'others');
    await sandbox.run(['list', '--check']);
    expect(readLinks(sandbox)[0]).toMatchObject({ status: 'ok', account: { login: 'others' } });
  });

  test('without a browser the other ways are named, with exit 2', async () => {
    const github = await startGithub();
    const sandbox = createSandbox();
    const run = await sandbox.run(['link', 'github', '--host', github.url], { env: { CI: 'true' } });
    expect(run.exitCode).toBe(2);
    for (const way of ['--app-key-file', '--with-token', '--method device'])
      expect(run.stderr).toContain(way);
  });

  test('nobody at the browser: the time ends it with 4, and nothing is left', async () => {
    const made = await setUp();
    const run = await runWithBrowser(
      made.sandbox,
      ['link', 'github', '--host', made.github.url, '--timeout', '1'],
      { act: () => Promise.resolve(null) },
    );
    expect([run.exitCode, run.stderr]).toEqual([4, expect.stringContaining('--timeout')]);
  });

  test('a kill after the registration loses nothing: the App is there, and its key', async () => {
    const made = await setUp();
    const { github, sandbox } = made;
    const killed = await runWithBrowser(sandbox, ['link', 'github', '--host', github.url], {
      act: async (url, running) => {
        // The browser hears of the page where it is installed only once everything is on the disk.
        await visit(url, 'approve', (address) => address.includes('/installations/new'));
        running.kill('SIGKILL');
        return null;
      },
    });
    expect(killed.signal).toBe('SIGKILL');
    const run = await link(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(github.state.apps.size).toBe(1);
  });
});
