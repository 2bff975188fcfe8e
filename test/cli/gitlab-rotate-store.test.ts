import { mkdirSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  countRotations,
  createLinkedGitlab,
  findNewestToken,
  rotatePath,
  type LinkedGitlab,
} from '../support/linked-gitlab.ts';
import type { Run, RunningProcess } from '../support/sandbox.ts';
import { until } from './webhooks-kit.ts';

function rotate({ sandbox }: LinkedGitlab): Promise<Run> {
  return sandbox.run(['rotate', '--json']);
}

describe('rotate with a store that fails after the host has answered', () => {
  /** Takes the encrypted file away as soon as the host is asked for the new token. */
  async function rotateWithoutStore(
    linked: LinkedGitlab,
    meanwhile: (running: RunningProcess, restore: () => void) => void,
  ): Promise<Run> {
    const { gitlab, sandbox, token } = linked;
    const file = join(sandbox.configDirectory, 'secrets.vault');
    const aside = `${file}.aside`;
    gitlab.faults.add({ fault: { kind: 'slow', delayMs: 300 }, method: 'POST', path: rotatePath });
    let acted: Promise<void> = Promise.resolve();
    const run = await sandbox.run(['rotate', '--json'], {
      onStart: (running) => {
        acted = until(() => countRotations(gitlab) === 1)
          .then(() => {
            renameSync(file, aside);
            mkdirSync(file);
            return until(() => token.revoked);
          })
          .then(() => delay(700))
          .then(() =>
            meanwhile(running, () => {
              rmdirSync(file);
              renameSync(aside, file);
            }),
          );
      },
    });
    await acted;
    return run;
  }

  test('for a moment: the new token is stored all the same', async () => {
    const linked = await createLinkedGitlab();
    const run = await rotateWithoutStore(linked, (_running, restore) => restore());
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(countRotations(linked.gitlab)).toBe(1);
    expect(await linked.sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('for good: exit 8, saying that the new token is lost; the next rotation does not rotate', async () => {
    const linked = await createLinkedGitlab();
    let restoreLater = (): void => {};
    const run = await rotateWithoutStore(linked, (_running, restore) => (restoreLater = restore));
    restoreLater();
    expect(run, run.stderr).toMatchObject({ exitCode: 8 });
    expect(run.stderr).toContain('the new one is lost');
    expect(run.stderr).toContain('gitlink relink gitlab');
    expect(await rotate(linked)).toMatchObject({ exitCode: 4 });
    expect(countRotations(linked.gitlab)).toBe(1);
  });

  test('Ctrl-C meanwhile does not lose the new token', async () => {
    const linked = await createLinkedGitlab();
    const run = await rotateWithoutStore(linked, (running, restore) => {
      running.kill('SIGINT');
      restore();
    });
    expect(run.signal).toBeNull();
    expect(await linked.sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect(countRotations(linked.gitlab)).toBe(1);
  });

  test('killed before it is back: reported as lost, and the host is not asked again', async () => {
    const linked = await createLinkedGitlab();
    const run = await rotateWithoutStore(linked, (running, restore) => {
      running.kill('SIGKILL');
      restore();
    });
    expect(run).toMatchObject({ signal: 'SIGKILL' });
    const again = await rotate(linked);
    expect(again, again.stderr).toMatchObject({ exitCode: 4 });
    expect(again.stderr).toContain('gitlink relink gitlab');
    expect(countRotations(linked.gitlab)).toBe(1);
    expect(findNewestToken(linked.gitlab).revoked).toBe(false);
  });
});
