import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { visit, type Visit } from '../support/browser.ts';
import type { Run, RunningProcess, RunOptions, Sandbox } from '../support/sandbox.ts';

/** Stands for the person's browser: a program that notes what it is to open. */
interface NotingBrowser {
  readonly env: Readonly<Record<string, string>>;
  /** The address that gitlink opened; waits for it. */
  opened(): Promise<string>;
}

const openDeadlineMs = 20_000;

export function createNotingBrowser(sandbox: Sandbox): NotingBrowser {
  // One of its own for every run: a run that opens nothing leaves nobody waiting for the next one's note.
  const id = randomUUID();
  const note = join(sandbox.home, `opened-${id}`);
  const program = join(sandbox.home, 'bin', `browser-${id}`);
  writeFileSync(program, `#!/bin/sh\nprintf %s "$1" >'${note}.part' && mv '${note}.part' '${note}'\n`, {
    mode: 0o755,
  });
  return {
    env: { BROWSER: `browser-${id}` },
    async opened() {
      const deadline = performance.now() + openDeadlineMs;
      while (!existsSync(note)) {
        if (performance.now() > deadline) throw new Error('No browser was opened.');
        await delay(10);
      }
      const address = readFileSync(note, 'utf8');
      // It is good for one visit and tells nothing afterwards.
      rmSync(note);
      return address;
    },
  };
}

export interface BrowserRun extends Run {
  readonly visit: Visit | null;
}

/** Runs a command that signs in, and does in the browser what the person does. */
export async function runWithBrowser(
  sandbox: Sandbox,
  args: readonly string[],
  options: RunOptions & {
    readonly act?: (startUrl: string, running: RunningProcess) => Promise<Visit | null>;
  } = {},
): Promise<BrowserRun> {
  const browser = createNotingBrowser(sandbox);
  let running: RunningProcess | undefined;
  const run = sandbox.run(args, {
    ...options,
    env: { ...browser.env, ...options.env },
    onStart: (child) => (running = child),
  });
  const act = options.act ?? ((url: string) => visit(url));
  // A command that ends before it opens anything is judged by its result.
  const visited = Promise.race([browser.opened(), run.then(() => null)]).then((url) =>
    url === null || !running ? null : act(url, running),
  );
  const [ended, seen] = await Promise.all([run, visited]);
  return { ...ended, visit: seen };
}

export interface DeviceRun extends Run {
  /** What the person was told to enter, and where; null where no code was shown. */
  readonly shown: { readonly code: string; readonly address: string } | null;
}

/** Nobody has a terminal or a browser here. */
const remote = { SSH_CONNECTION: '192.0.2.1 5 192.0.2.2 22', DISPLAY: undefined };

/** Runs a command that signs in by a code, and does what the person does as soon as it is shown. */
export async function runWithCode(
  sandbox: Sandbox,
  args: readonly string[],
  act: (code: string) => Promise<void> | void,
  options: RunOptions = {},
): Promise<DeviceRun> {
  let acting: Promise<DeviceRun['shown']> = Promise.resolve(null);
  const run = sandbox.run(args, {
    env: remote,
    ...options,
    onStart: (running) => {
      options.onStart?.(running);
      acting = running.waitForTalk('Enter it only if').then(async (talk) => {
        const [, address = '', code = ''] = /^Open (\S+) .*\n {2}(\S+)$/m.exec(talk) ?? [];
        await act(code);
        return { address, code };
      });
    },
  });
  const shown = Promise.race([acting, run.then(() => null)]);
  return { ...(await run), shown: await shown };
}
