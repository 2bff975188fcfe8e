import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page, Request } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { isPortFree, sendJunk, sendRaw } from '../oauth/raw-client.ts';
import { readLinks } from '../support/ask-git.ts';
import { chromiumObstacle, startChromium } from '../support/browser.ts';
import { createGitlabWithClient, listAliveSignIns, type GitlabWithClient } from '../support/linked-gitlab.ts';
import type { Run } from '../support/sandbox.ts';
import { createNotingBrowser } from './sign-in-kit.ts';

if (chromiumObstacle !== null)
  process.stderr.write(`Skipped: gitlink with Chromium, as ${chromiumObstacle}.\n`);

/** Where to keep pictures of the last page, for people to look at. */
const pictures = process.env['GITLINK_TEST_PICTURES'];

describe.skipIf(chromiumObstacle !== null)('gitlink link gitlab with Chromium', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await startChromium();
  });

  afterAll(() => browser.close());

  interface Opened extends GitlabWithClient {
    readonly context: BrowserContext;
    /** Before the host's question. */
    readonly page: Page;
    readonly run: Promise<Run>;
    readonly startUrl: string;
    readonly port: number;
    readonly state: string;
    /** Every address that the page asked for, in order. */
    readonly requests: readonly string[];
  }

  /** Starts `gitlink link` and takes a page of the browser to where it leads. */
  async function open(...flags: readonly string[]): Promise<Opened> {
    const made = await createGitlabWithClient();
    const { sandbox, gitlab } = made;
    const noting = createNotingBrowser(sandbox);
    const tab = join(sandbox.home, 'tab');
    writeFileSync(tab, '');
    onTestFinished(() => rmSync(tab, { force: true }));
    // Stays, as browsers do, with what it was told to open among its arguments.
    const program = join(sandbox.home, 'bin', 'staying-browser');
    const script = `#!/bin/sh\n${noting.env['BROWSER'] ?? ''} "$1"\nwhile [ -e '${tab}' ]; do sleep 0.1; done\n`;
    writeFileSync(program, script, { mode: 0o755 });
    const run = sandbox.run(['link', 'gitlab', '--host', gitlab.url, '--json', ...flags], {
      env: { BROWSER: 'staying-browser' },
    });
    const startUrl = await noting.opened();
    const context = await browser.newContext({ viewport: { width: 1000, height: 640 } });
    const page = await context.newPage();
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(startUrl);
    const authorization = requests.find((url) => url.includes('/oauth/authorize?')) ?? '';
    const state = sandbox.guard(new URL(authorization).searchParams.get('state') ?? '');
    return { ...made, context, page, run, startUrl, port: Number(new URL(startUrl).port), state, requests };
  }

  async function takePicture(page: Page, name: string): Promise<void> {
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `${name}.png`) });
  }

  /** The address with which the browser came back. */
  function callbackOf(requests: readonly string[]): string {
    return requests.find((url) => url.includes('/callback?')) ?? '';
  }

  /** Address bar and history of a tab. */
  async function readHistory(page: Page): Promise<string> {
    const session = await page.context().newCDPSession(page);
    const { entries } = await session.send('Page.getNavigationHistory');
    return [page.url(), ...entries.flatMap(({ url, userTypedURL }) => [url, userTypedURL])].join('\n');
  }

  function countCodes({ gitlab }: GitlabWithClient): number {
    return gitlab.oauth.tokenRequests.filter(({ grantType }) => grantType === 'authorization_code').length;
  }

  test('A11, A15: approve: no process shows the state; neither address bar nor history keep it or the code', async () => {
    const opened = await open();
    const { page, run, requests, sandbox, gitlab, state, context } = opened;
    expect(state.length).toBeGreaterThan(40);
    expect(findInProcesses(opened.startUrl)).toHaveLength(1);
    expect(findInProcesses(state)).toEqual([]);
    await page.getByRole('button', { name: 'Authorize' }).click();
    await page.getByRole('heading', { name: /^Signed in to/ }).waitFor();
    await takePicture(page, 'gitlink-link-done');
    const ended = await run;
    expect(ended, ended.stderr).toMatchObject({ exitCode: 0 });
    expect(ended.json()).toMatchObject({
      link: { name: 'gitlab', method: 'oauth', account: { login: 'ada' }, status: 'ok' },
    });
    expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe('/done');
    const code = sandbox.guard(new URL(callbackOf(requests)).searchParams.get('code') ?? '');
    expect(code.length).toBeGreaterThan(20);
    const history = await readHistory(page);
    expect(history).toContain('/done');
    for (const secret of [state, code]) expect(history).not.toContain(secret);
    expect(countCodes(opened)).toBe(1);
    expect(await listAliveSignIns(gitlab)).toHaveLength(2);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    await context.close();
  });

  test('A10: deny: exit 4, the page says so, and nothing is kept', async () => {
    const { page, run, sandbox, gitlab, context } = await open();
    await page.getByRole('button', { name: 'Deny' }).click();
    await page.getByRole('heading', { name: /^Not signed in to/ }).waitFor();
    await takePicture(page, 'gitlink-link-denied');
    const ended = await run;
    expect(ended).toMatchObject({ exitCode: 4 });
    expect(ended.json()).toMatchObject({ error: { code: 'auth' } });
    expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe('/done');
    expect(readLinks(sandbox)).toEqual([]);
    expect(await listAliveSignIns(gitlab)).toEqual([]);
    await context.close();
  });

  test('A13: a second callback, a reload and the back button redeem nothing', async () => {
    const opened = await open();
    const { page, run, requests, context, gitlab, startUrl, port } = opened;
    // The exchange takes long enough for everything else to happen meanwhile.
    gitlab.faults.add({ fault: { kind: 'slow', delayMs: 1_500 }, path: /^\/oauth\/token$/ });
    const clicked = page.getByRole('button', { name: 'Authorize' }).click();
    await expect.poll(() => callbackOf(requests)).not.toBe('');
    const callback = callbackOf(requests);
    const second = await context.newPage();
    // Chromium asks for an address once at a time, so that this tab comes too late for the last page.
    const repeated = second.goto(callback).catch(() => undefined);
    const { pathname, search } = new URL(callback);
    expect(await sendRaw(port, pathname + search)).toMatch(/^HTTP\/1\.1 303 .*\r\nLocation: \/done\r\n/s);
    expect(await sendRaw(port, new URL(startUrl).pathname)).toMatch(/^HTTP\/1\.1 404 /);
    await page.getByRole('heading', { name: /^Signed in to/ }).waitFor();
    await Promise.all([clicked, repeated]);
    expect(await run).toMatchObject({ exitCode: 0 });
    await page.reload().catch(() => undefined);
    await page.goBack().catch(() => undefined);
    await expect(second.goto(callback)).rejects.toThrow('ERR_CONNECTION_REFUSED');
    expect(await isPortFree(port)).toBe(true);
    expect(countCodes(opened)).toBe(1);
    expect(await listAliveSignIns(gitlab)).toHaveLength(2);
    await context.close();
  });

  test('A4, A7, A8: junk, wrong states and images of other pages during the wait end nothing', async () => {
    const opened = await open();
    const { page, run, context, port, state } = opened;
    const junk = await sendJunk(port, state, { requests: 240, sockets: 20 });
    const other = await context.newPage();
    const answer = await other.goto(`http://127.0.0.1:${port}/callback?code=stolen&state=wrong`);
    expect(answer?.status()).toBe(400);
    await takePicture(other, 'gitlink-link-stranger');
    await other.goto(`${opened.gitlab.url}/oauth/device`);
    const isPlanted = (request: Request): boolean => request.url().includes('planted');
    const asked = other.waitForEvent('requestfailed', isPlanted);
    await other.setContent(
      `<img src="http://127.0.0.1:${port}/callback?code=planted&state=${encodeURIComponent(state)}">`,
    );
    await asked;
    expect(countCodes(opened)).toBe(0);
    await page.getByRole('button', { name: 'Authorize' }).click();
    await page.getByRole('heading', { name: /^Signed in to/ }).waitFor();
    const ended = await run;
    junk.close();
    expect(ended, ended.stderr).toMatchObject({ exitCode: 0 });
    expect(countCodes(opened)).toBe(1);
    await context.close();
  });

  test('A14: the window is closed: exit 4 after --timeout, and nothing listens any more', async () => {
    const { page, run, sandbox, context, port } = await open('--timeout', '2');
    await page.close();
    const ended = await run;
    expect(ended).toMatchObject({ exitCode: 4 });
    expect(ended.stderr).toContain('--timeout');
    expect(await isPortFree(port)).toBe(true);
    expect(readLinks(sandbox)).toEqual([]);
    await context.close();
  });
});

/** The arguments of every process that hold a text, which all users of the machine can read. */
function findInProcesses(text: string): string[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const lines = processes.flatMap((id) => {
    try {
      return [readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ')];
    } catch {
      return [];
    }
  });
  return lines.filter((line) => line.includes(text));
}
