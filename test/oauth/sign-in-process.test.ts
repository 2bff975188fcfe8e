import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { visit } from '../support/browser.ts';
import type { OAuthServer } from '../support/oauth-server.ts';
import { createDeferred, startServer } from './oauth-kit.ts';
import { isPortFree, sendRaw } from './raw-client.ts';

const project = resolve(import.meta.dirname, '../..');
const program = fileURLToPath(new URL('./sign-in-process.ts', import.meta.url));

/** Starts a sign-in in a process of its own, with a browser that keeps its address in its arguments and waits. */
async function start(server: OAuthServer) {
  const folder = mkdtempSync(join(tmpdir(), 'gitlink-sign-in-'));
  const browser = join(folder, 'browser');
  writeFileSync(
    browser,
    `#!/bin/sh\necho $$ > '${folder}/pid'\nwhile [ -e '${folder}/pid' ]; do sleep 0.1; done\n`,
  );
  chmodSync(browser, 0o755);
  const child = spawn(
    process.execPath,
    [
      'test/tools/run.mjs',
      program,
      server.issuer,
      server.authorizationEndpoint,
      server.tokenEndpoint,
      server.clientId,
      browser,
    ],
    { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  const waiting = createDeferred<string>();
  const exited = createDeferred<number | null>();
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const address = /waiting at (\S+)\n/.exec(output)?.[1];
      if (address) waiting.resolve(address);
    });
  }
  child.on('close', (exitCode) => exited.resolve(exitCode));
  const redirectUri = await waiting.promise;
  const pid = await vi.waitFor(() => readFileSync(join(folder, 'pid'), 'utf8').trim());
  const startUrl =
    readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .find((word) => word.startsWith('http')) ?? '';
  return {
    child,
    port: Number(new URL(redirectUri).port),
    startUrl,
    exited: exited.promise,
    read: () => output,
  };
}

/** Everything that other users of the machine may see of all processes. */
function readCommandLines(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .join('\n');
}

describe.skipIf(!existsSync('/proc/self/cmdline'))('a process that signs in', () => {
  test('A15: no process has the state in its arguments, and it ends by itself', async () => {
    const server = await startServer();
    const process = await start(server);
    expect(process.startUrl).toContain(`http://127.0.0.1:${process.port}/start/`);
    const answer = await sendRaw(process.port, new URL(process.startUrl).pathname);
    const authorizationUrl = /\r\nLocation: (\S+)\r\n/.exec(answer)?.[1] ?? '';
    const state = new URL(authorizationUrl).searchParams.get('state') ?? '';
    expect(state).toHaveLength(43);
    const lines = readCommandLines();
    expect(lines).toContain(process.startUrl);
    expect(lines).not.toContain(state);
    await visit(authorizationUrl);
    expect(await process.exited).toBe(0);
    expect(process.read()).toContain('stored');
    expect(process.read()).not.toContain(state);
    expect(await isPortFree(process.port)).toBe(true);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 143],
  ] as const)('A14: %s during the wait closes the listener and ends with %i', async (signal, exitCode) => {
    const server = await startServer();
    const process = await start(server);
    process.child.kill(signal);
    expect(await process.exited).toBe(exitCode);
    expect(await isPortFree(process.port)).toBe(true);
    expect(process.read()).not.toContain('stored');
  });

  test('A14: SIGINT during the exchange ends it, and the page says so', async () => {
    const server = await startServer();
    const process = await start(server);
    server.spoilNextTokenAnswer(() => void process.child.kill('SIGINT'));
    const page = await visit(process.startUrl);
    expect(page.text).toContain('Not signed in');
    expect(await process.exited).toBe(130);
    expect(await isPortFree(process.port)).toBe(true);
  });
});
