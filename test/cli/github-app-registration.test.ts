import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { sendRequest } from '../simulators/send-request.ts';
import { submitForm, visit } from '../support/browser.ts';
import { createGithubSandbox, startGithub } from '../support/linked-github.ts';
import type { Run, RunningProcess, Sandbox } from '../support/sandbox.ts';
import { runWithBrowser } from './sign-in-kit.ts';

interface Begun {
  readonly github: GithubSimulator;
  readonly sandbox: Sandbox;
  readonly run: Run;
}

/** Runs `gitlink link github` with something at the browser; nobody waits long. */
async function begin(
  act: (startUrl: string, github: GithubSimulator, running: RunningProcess) => Promise<void>,
): Promise<Begun> {
  const github = await startGithub();
  const sandbox = createGithubSandbox(github);
  const run = await runWithBrowser(sandbox, ['link', 'github', '--host', github.url, '--timeout', '6'], {
    act: async (startUrl, running) => {
      await act(startUrl, github, running);
      return null;
    },
  });
  return { github, sandbox, run };
}

/** Follows the way to the callback, and stops before it. */
async function findCallback(startUrl: string): Promise<URL> {
  const { url } = await visit(startUrl, 'approve', (address) => address.includes('/callback/'));
  return new URL(url);
}

function browse(url: string | URL) {
  return sendRequest(String(url), {
    headers: { 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate' },
  });
}

function readIntents({ configDirectory }: Sandbox): readonly { readonly item: string }[] {
  const records = readFileSync(join(configDirectory, 'links.json'), 'utf8');
  return (JSON.parse(records) as { intents: { item: string }[] }).intents;
}

describe('A19: registering an App', () => {
  test('a callback without the state, with another, or with it twice changes nothing', async () => {
    const { github, run } = await begin(async (startUrl) => {
      const callback = await findCallback(startUrl);
      const without = new URL(callback);
      without.searchParams.delete('state');
      const foreign = new URL(callback);
      foreign.searchParams.set('state', 'canary-of-somebody-else');
      const twice = new URL(callback);
      twice.searchParams.append('state', 'canary-of-somebody-else');
      for (const url of [without, foreign, twice]) expect((await browse(url)).status).toBe(400);
    });
    expect(run.exitCode).toBe(4);
    expect(github.requests.filter(({ path }) => path.includes('/conversions'))).toEqual([]);
  });

  test('a foreign code with the right state is refused by the host, and nothing is kept', async () => {
    const { run, sandbox } = await begin(async (startUrl) => {
      const callback = await findCallback(startUrl);
      callback.searchParams.set('code', 'canary0of0another0app0canary0of0another0');
      await visit(String(callback), 'leave');
    });
    expect([run.exitCode, run.stderr]).toEqual([4, expect.stringContaining('gitlink:')]);
    const list = await sandbox.run(['client', 'list', '--json']);
    expect(list.json()).toMatchObject({ clients: [] });
  });

  test('a second callback begins nothing', async () => {
    const { github, run } = await begin(async (startUrl) => {
      const callback = await findCallback(startUrl);
      await visit(String(callback), 'approve', (address) => address.includes('/settings/installations/'));
      await browse(callback).catch(() => null);
    });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(github.requests.filter(({ path }) => path.includes('/conversions'))).toHaveLength(1);
  });

  test('a kill between the exchange and the store leaves a word of which App to delete', async () => {
    const { sandbox, run } = await begin(async (startUrl, github, running) => {
      github.faults.add({ path: /conversions/, fault: { kind: 'slow', delayMs: 3_000 } });
      const callback = await findCallback(startUrl);
      await browse(callback);
      while (!github.requests.some(({ path }) => path.includes('/conversions'))) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      running.kill('SIGKILL');
    });
    expect(run.signal).toBe('SIGKILL');
    expect(readIntents(sandbox).map(({ item }) => item)).toEqual([
      expect.stringMatching(/^app-registration\.gitlink-[0-9a-f]{8}\.127\.0\.0\.1/),
    ]);
  });

  test('an App of another owner than was asked for is kept, and not gone on with', async () => {
    const github = await startGithub();
    const sandbox = createGithubSandbox(github);
    const args = ['link', 'github', '--host', github.url, '--org', 'acme'];
    const run = await runWithBrowser(sandbox, args, {
      // The person moves the form to their own account.
      act: async (startUrl) => {
        const form = await visit(startUrl, 'leave');
        const manifest = /name="manifest" value="([^"]*)"/.exec(form.text)?.[1] ?? '';
        const state = /state=([^"&]+)/.exec(form.text)?.[1] ?? '';
        const decoded = manifest.replace(/&#(\d+);/g, (_, code: string) =>
          String.fromCodePoint(Number(code)),
        );
        const address = `${github.url}/settings/apps/new?state=${state}`;
        const { text } = await submitForm(address, { manifest: decoded });
        const action = /action="([^"]+)"/.exec(text)?.[1] ?? '';
        const { location } = await submitForm(action, { decision: 'approve' });
        await visit(location ?? '', 'leave');
        return null;
      },
    });
    expect([run.exitCode, run.stderr]).toEqual([4, expect.stringContaining('belongs to ada, not to acme')]);
    const list = await sandbox.run(['client', 'list', '--json']);
    expect(list.json()).toMatchObject({ clients: [{ app: { owner: 'ada' } }] });
  });
});
