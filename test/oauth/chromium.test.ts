import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuthError, StorageError } from '../../src/errors.ts';
import { signInByBrowser, type BrowserSignIn } from '../../src/oauth/authorization-code.ts';
import { chromiumObstacle, startChromium } from '../support/browser.ts';
import type { OAuthServer } from '../support/oauth-server.ts';
import { createDeferred, createFlow, createNetwork, createStoppedClock, startServer } from './oauth-kit.ts';
import { isPortFree } from './raw-client.ts';

if (chromiumObstacle !== null)
  process.stderr.write(`Skipped: signing in with Chromium, as ${chromiumObstacle}.\n`);

/** Where to keep pictures of the last page, for people to look at. */
const pictures = process.env['GITLINK_TEST_PICTURES'];

describe.skipIf(chromiumObstacle !== null)('signing in with Chromium', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await startChromium();
  });

  afterAll(() => browser.close());

  /** Starts a sign-in and takes a page of the browser to where it leads. */
  async function open(server: OAuthServer, overrides: Partial<BrowserSignIn> = {}, colorScheme?: 'dark') {
    const context = await browser.newContext({
      viewport: { width: 1000, height: 640 },
      ...(colorScheme ? { colorScheme } : {}),
    });
    const page = await context.newPage();
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    const opened = createDeferred<string>();
    const done = signInByBrowser(
      createFlow(server, {
        openBrowser: (url) => {
          opened.resolve(url);
          return Promise.resolve();
        },
        ...overrides,
      }),
    );
    done.catch(() => undefined);
    await page.goto(await opened.promise);
    return { page, context, done, requests, startUrl: await opened.promise };
  }

  async function takePicture(page: Page, name: string): Promise<void> {
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `${name}.png`) });
  }

  test.each([undefined, 'dark'] as const)(
    'A11: approve: neither address bar nor history keep the code (%s)',
    async (scheme) => {
      const server = await startServer();
      const { page, context, done, requests } = await open(server, {}, scheme);
      await page.getByRole('button', { name: 'Authorize' }).click();
      await page.getByRole('heading', { name: 'Signed in to git.example' }).waitFor();
      await takePicture(page, `done-${scheme ?? 'light'}`);
      const tokens = await done;
      expect(await server.isAlive(tokens.accessToken.reveal())).toBe(true);
      expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe('/done');
      const session = await context.newCDPSession(page);
      const { entries } = await session.send('Page.getNavigationHistory');
      const callback = requests.find((url) => url.includes('/callback?')) ?? '';
      const { searchParams } = new URL(callback);
      const history = entries.map(({ url }) => url).join('\n');
      expect(history).toContain('/done');
      for (const name of ['code', 'state'])
        expect(history).not.toContain(searchParams.get(name) ?? 'nothing');
      expect(server.tokenRequests).toHaveLength(1);
      // The page asks for nothing more from anywhere, but perhaps for its icon.
      const after = requests.slice(requests.findIndex((url) => url.endsWith('/done')) + 1);
      expect(after.filter((url) => !url.endsWith('/favicon.ico'))).toEqual([]);
      await context.close();
    },
  );

  test('A10: deny', async () => {
    const server = await startServer();
    const { page, context, done } = await open(server);
    await page.getByRole('button', { name: 'Deny' }).click();
    await page.getByRole('heading', { name: 'Not signed in to git.example' }).waitFor();
    await takePicture(page, 'denied');
    await expect(done).rejects.toBeInstanceOf(AuthError);
    expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe('/done');
    await context.close();
  });

  test('A12: the store fails', async () => {
    const server = await startServer();
    const store = () => Promise.reject(new StorageError('The keychain is locked.'));
    const { page, context, done } = await open(server, { store }, 'dark');
    await page.getByRole('button', { name: 'Authorize' }).click();
    await page.getByText('The keychain is locked.').waitFor();
    await takePicture(page, 'not-stored-dark');
    await expect(done).rejects.toBeInstanceOf(StorageError);
    await context.close();
  });

  test('A14: the window is closed: the time ends it', async () => {
    const server = await startServer();
    const clock = createStoppedClock();
    const { context, done, startUrl } = await open(server, { network: createNetwork({ clock }) });
    await context.close();
    clock.elapse();
    await expect(done).rejects.toThrow('Nobody finished');
    expect(await isPortFree(Number(new URL(startUrl).port))).toBe(true);
  });

  test('A13, A15: the start address again, or the back button, begins nothing', async () => {
    const server = await startServer();
    const { page, context, done, startUrl } = await open(server);
    const second = await context.newPage();
    expect((await second.goto(startUrl))?.status()).toBe(404);
    await takePicture(second, 'refused');
    await page.getByRole('button', { name: 'Authorize' }).click();
    await page.getByRole('heading', { name: 'Signed in to git.example' }).waitFor();
    await done;
    await page.goBack().catch(() => undefined);
    expect(server.countExchanges('authorization_code')).toBe(1);
    await context.close();
  });
});
