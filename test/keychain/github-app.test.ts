import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNotingBrowser } from '../cli/sign-in-kit.ts';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { readLinks } from '../support/ask-git.ts';
import { chromiumObstacle, startChromium } from '../support/browser.ts';
import { converse, enter } from '../support/converse.ts';
import { startGithub } from '../support/linked-github.ts';
import { createKeychainSandbox, isSecretServiceMissing, type KeychainSandbox } from './keychain-kit.ts';

/** Where to keep pictures of the pages, for people to look at. */
const pictures = process.env['GITLINK_TEST_PICTURES'];

function findObstacle(): string | null {
  if (chromiumObstacle !== null) return chromiumObstacle;
  if (isSecretServiceMissing()) return 'there is no Secret Service';
  return spawnSync('expect', ['-v']).error === undefined ? null : 'expect is not installed';
}

const obstacle = findObstacle();
if (obstacle !== null)
  process.stderr.write(`Skipped: a GitHub App with Chromium in a terminal, as ${obstacle}.\n`);

describe.skipIf(obstacle !== null)(
  'gitlink link github, from an empty home, in a terminal with Chromium',
  () => {
    let browser: Browser;

    beforeAll(async () => {
      browser = await startChromium();
    });

    afterAll(() => browser.close());

    /** Runs gitlink at a terminal of 80 columns, answering what it asks; the person takes as long as Chromium does. */
    function runInTerminal(
      sandbox: KeychainSandbox,
      args: readonly string[],
      env: Readonly<Record<string, string>>,
      dialogue: readonly (readonly [question: string, answer: string])[] = [],
    ) {
      const wholeEnv = { ...sandbox.keychainEnv, ...env, CI: undefined };
      return converse(sandbox, args, dialogue, wholeEnv, { columns: 80, limitS: 60 });
    }

    async function takePicture(page: Page, name: string): Promise<void> {
      if (pictures === undefined) return;
      mkdirSync(pictures, { recursive: true });
      writeFileSync(join(pictures, `${name}.png`), await page.screenshot());
    }

    /** Does what a person does: registers the App, chooses one repository, installs. */
    async function installFor(startUrl: string, repository: string): Promise<Page> {
      const page = await (await browser.newContext({ viewport: { width: 1000, height: 640 } })).newPage();
      await page.goto(startUrl);
      await page.getByRole('button', { name: 'Create GitHub App' }).click();
      await page.waitForURL(/installations\/new/);
      await page.getByLabel('Only select repositories').check();
      await page.getByLabel(repository, { exact: true }).check();
      await takePicture(page, 'install');
      await page.getByRole('button', { name: 'Install' }).click();
      await page.waitForURL(/settings\/installations/);
      return page;
    }

    interface Setting {
      readonly github: GithubSimulator;
      readonly sandbox: KeychainSandbox;
    }

    async function setUp(): Promise<Setting> {
      return { github: await startGithub(), sandbox: await createKeychainSandbox() };
    }

    async function linkInTerminal({ github, sandbox }: Setting): Promise<void> {
      const noting = createNotingBrowser(sandbox);
      const dialogue = [
        ['Send your credential to', enter],
        ['Use this account for git', enter],
      ] as const;
      const run = runInTerminal(sandbox, ['link', 'github', '--host', github.url], noting.env, dialogue);
      await installFor(await noting.opened(), 'notes');
      const ended = await run;
      expect(ended.exitCode, ended.stdout).toBe(0);
      expect(ended.stdout).toContain('Linked ada');
    }

    test('ends with an App, its key in the keychain, and a clone by a token for that repository alone', async () => {
      const setting = await setUp();
      const { github, sandbox } = setting;
      await linkInTerminal(setting);
      expect(readLinks(sandbox)).toMatchObject([{ method: 'app', storage: 'keychain' }]);
      const kinds = (await sandbox.listItems()).map((item) => item.split('.')[0]);
      expect(kinds.sort()).toEqual(['app-key', 'client', 'credential']);
      expect(await sandbox.holds('BEGIN RSA PRIVATE KEY')).toBe(true);

      const git = (repository: string, folder: string) =>
        sandbox.runProgram('git', ['clone', '--quiet', `${github.url}/ada/${repository}.git`, folder], {
          env: sandbox.keychainEnv,
        });
      const cloned = await git('notes', 'notes');
      expect(cloned, cloned.stderr).toMatchObject({ exitCode: 0 });
      expect(existsSync(join(sandbox.home, 'notes/README.md'))).toBe(true);
      const minted = github.requests.filter(({ path }) => path.endsWith('/access_tokens')).at(-1);
      expect(minted?.body).toEqual({ repositories: ['notes'] });
      for (const secret of github.state.tokens.keys()) sandbox.guard(secret);
    });

    test('keeps all secrets of the App in one store, whatever --store says later', async () => {
      const setting = await setUp();
      const { github, sandbox } = setting;
      await linkInTerminal(setting);
      const [app] = github.state.apps.values();
      const args = [
        'client',
        'add',
        'github',
        '--host',
        github.url,
        '--client-id',
        app?.client.clientId ?? '',
      ];
      const run = await sandbox.run([...args, '--client-secret-env', 'CS', '--store', 'file'], {
        env: {
          CS: sandbox.guard('canary-client-secret-0123456789'),
          GITLINK_PASSPHRASE: 'canary of another store',
        },
      });
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      const kinds = (await sandbox.listItems()).map((item) => item.split('.')[0]);
      expect(kinds.sort()).toEqual(['app-key', 'client', 'credential']);
      const fill = await sandbox.run(['list', '--check', '--json']);
      expect(fill.json()).toMatchObject({ links: [{ status: 'ok' }] });
      for (const secret of github.state.tokens.keys()) sandbox.guard(secret);
    });

    test('restrict opens the page of the installation, waits, and reports what changed', async () => {
      const setting = await setUp();
      const { github, sandbox } = setting;
      await linkInTerminal(setting);
      const noting = createNotingBrowser(sandbox);
      const run = runInTerminal(sandbox, ['restrict', 'github'], noting.env);
      const page = await noting.opened();
      expect(page).toMatch(/\/settings\/installations\/\d+$/);
      const [installation] = github.installationsOf();
      if (!installation) throw new Error('Nothing is installed.');
      github.changeRepositories(installation, ['site', 'notes']);
      const ended = await run;
      expect(ended.exitCode, ended.stdout).toBe(0);
      expect(ended.stdout).toContain('Added: ada/site');
      for (const secret of github.state.tokens.keys()) sandbox.guard(secret);
    });

    test('the page that sends the form works without script, too, and loads nothing', async () => {
      const { github, sandbox } = await setUp();
      const noting = createNotingBrowser(sandbox);
      const run = sandbox.run(['link', 'github', '--host', github.url, '--timeout', '20', '--json'], {
        env: { ...sandbox.keychainEnv, ...noting.env },
      });
      const context = await browser.newContext({
        javaScriptEnabled: false,
        viewport: { width: 1000, height: 640 },
      });
      const page = await context.newPage();
      await page.goto(await noting.opened());
      await takePicture(page, 'start-form');
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.getByRole('button', { name: 'Create GitHub App' }).click();
      await page.waitForURL(/installations\/new/);
      await page.getByRole('button', { name: 'Install' }).click();
      const ended = await run;
      expect(ended, ended.stderr).toMatchObject({ exitCode: 0 });
      for (const secret of github.state.tokens.keys()) sandbox.guard(secret);
    });
  },
);
