import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock, systemRandom } from '../../src/runtime.ts';
import { readLinkIdOf } from '../../src/store/file-names.ts';
import { createProcessLocks } from '../../src/store/process-lock.ts';
import { writeRepositoryList } from '../../src/store/repository-list.ts';
import { recordUsage } from '../../src/store/usage-log.ts';
import { openWebhookJournal } from '../../src/store/webhook-journal.ts';
import { openWebhookReadings } from '../../src/store/webhook-readings.ts';

describe('the names of files', () => {
  test('whatever is kept of one link tells its id', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'gitlink-names-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const id = randomUUID();
    await (await openWebhookJournal(directory, id)).close();
    openWebhookReadings(directory, id, 'a run', () => Date.now());
    writeRepositoryList(directory, id, []);
    recordUsage(directory, { linkId: id, at: Date.now(), by: 'git', path: null });
    const withLock = createProcessLocks({
      stateDirectory: directory,
      clock: systemClock,
      random: systemRandom,
      platform: process.platform,
      command: 'test',
      waitLimitMs: 1_000,
    });
    for (const name of ['links', `webhooks-${id}`, `credential-${id}`]) {
      await withLock(name, () => Promise.resolve());
    }
    const names = readdirSync(directory);
    const own = names.filter((name) => readLinkIdOf(name) === id);
    expect(own.sort()).toEqual([
      `lock-credential-${id}.holder`,
      `lock-webhooks-${id}.holder`,
      `repositories-${id}.json`,
      `webhook-readings-${id}.jsonl`,
      `webhooks-${id}.jsonl`,
    ]);
    const shared = names.filter((name) => !own.includes(name));
    expect(shared.sort()).toEqual(['lock-id', 'lock-links.holder', 'usage.jsonl']);
    expect(shared.map(readLinkIdOf)).toEqual([null, null, null]);
  });
});
