import { existsSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { askHelper, helpers, readLinks, runForSecret, toRequest } from '../support/ask-git.ts';
import { addToken, startGitea, usualScopes } from '../support/linked.ts';
import { createSandbox, type RunningProcess } from '../support/sandbox.ts';
import type { DoubleFault } from '../support/secret-service.ts';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import {
  createKeychainSandbox,
  isSecretServiceMissing,
  listProcesses,
  snapshot,
  timed,
  type KeychainSandbox,
} from './keychain-kit.ts';

/** The design's 3 s, and what starting a program takes on a busy machine. */
const leastWaitMs = 3_000 + 2_000;

interface LinkedInKeychain {
  readonly sandbox: KeychainSandbox;
  readonly gitea: GiteaSimulator;
  readonly token: string;
}

async function createLinkedInKeychain(): Promise<LinkedInKeychain> {
  const gitea = await startGitea();
  const sandbox = await createKeychainSandbox();
  const token = sandbox.guard(addToken(gitea, usualScopes));
  const args = ['link', 'gitea', '--host', gitea.url, '--with-token', '--setup-git'];
  const run = await sandbox.run(args, { input: token });
  if (run.exitCode !== 0) throw new Error(run.stderr);
  return { sandbox, gitea, token };
}

describe.skipIf(isSecretServiceMissing())('with gnome-keyring', () => {
  test('the whole life of a link leaves nothing behind', async () => {
    const { sandbox, gitea, token } = await createLinkedInKeychain();
    expect(await sandbox.listItems()).toEqual([readLinks(sandbox)[0]?.['credentialItem']]);
    expect(await sandbox.holds(token)).toBe(true);
    expect((await sandbox.run(['list', '--check'])).stdout).toMatch(/\tok\n$/);
    const { link } = (await sandbox.run(['show', '--json'])).json<{ link: { storage: string } }>();
    expect(link.storage).toBe('keychain');
    const filled = await runForSecret(sandbox, 'git', ['credential', 'fill'], {
      input: toRequest(`${gitea.url}/ada/notes.git`),
    });
    expect(filled.stdout).toContain(`password=${token}\n`);
    await sandbox.runProgram('git', ['clone', '--quiet', `${gitea.url}/ada/notes.git`, 'notes']);
    expect(existsSync(join(sandbox.home, 'notes/README.md'))).toBe(true);
    const rotated = await sandbox.run(['regenerate-webhooks', '--url', 'https://ci.acme.example/hook']);
    expect(rotated).toMatchObject({ exitCode: 0 });
    const secret = gitea.hooksOf('ada/site')[0]?.secret ?? '';
    sandbox.guard(secret);
    expect(await sandbox.holds(secret)).toBe(true);
    expect(await sandbox.listItems()).toHaveLength(2);
    expect((await sandbox.run(['regenerate-webhooks'])).exitCode).toBe(0);
    expect(await sandbox.holds(secret)).toBe(false);
    expect(await sandbox.run(['unlink', '--revoke', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.listItems()).toEqual([]);
    expect(readFileSync(join(sandbox.home, '.gitconfig'), 'utf8')).toBe('');
  });

  test('secret-tool sees the item under the service gitlink', async (context) => {
    const { sandbox } = await createLinkedInKeychain();
    const found = await runForSecret(sandbox, 'secret-tool', ['search', '--all', 'service', 'gitlink']).catch(
      () => context.skip('secret-tool is not here'),
    );
    expect(`${found.stdout}${found.stderr}`).toContain(String(readLinks(sandbox)[0]?.['credentialItem']));
  });

  test.each<DoubleFault | 'locked' | 'absent'>([
    'locked',
    'absent',
    'silent',
    'promptNeverCompletes',
    'hidesLocked',
  ])('B2, B3: %s: every command ends in time with exit 8 and changes nothing', async (fault) => {
    const { sandbox, gitea } = await createLinkedInKeychain();
    await sandbox.breakKeychain(fault);
    gitea.clearRequests();
    const before = snapshot(sandbox);
    const token = sandbox.guard(addToken(gitea, usualScopes));
    const link = ['link', 'gitea', '--host', gitea.url, '--name', 'other', '--with-token', '--json'];
    const runs = await Promise.all([
      timed(sandbox.run(link, { input: token })),
      timed(sandbox.run(['list', '--check', '--json'])),
      timed(sandbox.run(['unlink', '--yes', '--json'])),
    ]);
    for (const run of runs) {
      expect(run).toMatchObject({ exitCode: 8 });
      expect(run.json()).toMatchObject({ error: { code: 'storage' } });
      expect(run.durationMs).toBeLessThan(leastWaitMs);
    }
    expect(gitea.requests).toEqual([]);
    expect(snapshot(sandbox)).toEqual(before);
    const request = toRequest(`${gitea.url}/ada/notes.git`);
    const asked = await Promise.all(
      helpers.map((helper) => timed(askHelper(sandbox, helper, 'get', request))),
    );
    for (const run of asked) {
      expect(run).toMatchObject({ exitCode: 0, stdout: '' });
      expect(run.stderr).toMatch(/^gitlink: [ -~]*keychain[ -~]*\n$/);
      expect(run.durationMs).toBeLessThan(leastWaitMs);
    }
    expect(snapshot(sandbox)).toEqual(before);
    await expect.poll(() => listProcesses(sandbox.session), { timeout: 1_000 }).toEqual([]);
  });

  test('B11: killed anywhere in link, no secret is in the keychain that no record names', async () => {
    const gitea = await startGitea();
    const sandbox = await createKeychainSandbox();
    await sandbox.run(['config', 'set', 'concurrency', '4']);
    const config = sandbox.configDirectory;
    let orphans = 0;
    for (let step = 1; ; step += 2) {
      const token = sandbox.guard(addToken(gitea, usualScopes));
      const isKilled = await linkKilledAt(sandbox, gitea, token, step);
      const records = readRecords(config);
      const named = records.links.map(({ credentialItem }) => credentialItem);
      const intended = records.intents.map(({ item }) => item);
      const items = await sandbox.listItems();
      expect([step, items.filter((item) => ![...named, ...intended].includes(item))]).toEqual([step, []]);
      expect([step, named.filter((item) => !items.includes(item))]).toEqual([step, []]);
      orphans = items.filter((item) => intended.includes(item)).length;
      if (!isKilled) break;
    }
    // At least one kill came between the secret and the record.
    expect(orphans).toBeGreaterThan(0);
  });
});

describe('B4: where there is no keychain', () => {
  test('link stops before anything is sent or written, and names the choices', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox({ store: 'keychain' });
    const before = snapshot(sandbox);
    const input = sandbox.guard(addToken(gitea, usualScopes));
    const run = await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--json'], {
      input,
    });
    expect(run).toMatchObject({ exitCode: 8 });
    const { error } = run.json<{ error: { code: string; hint: string } }>();
    expect(error.code).toBe('storage');
    for (const choice of ['Unlock or install a keychain', '--store file', 'GITLINK_PASSPHRASE_FILE']) {
      expect(error.hint).toContain(choice);
      expect(run.stderr).toContain(choice);
    }
    expect(gitea.requests).toEqual([]);
    expect(snapshot(sandbox)).toEqual(before);
  });

  test('the choice is kept with the link and shown', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox({ store: 'keychain' });
    const input = sandbox.guard(addToken(gitea, usualScopes));
    const env = { GITLINK_PASSPHRASE: sandbox.guard('canary passphrase without keychain') };
    const args = ['link', 'gitea', '--host', gitea.url, '--with-token', '--store', 'file', '--json'];
    const run = await sandbox.run(args, { input, env });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { storage: 'file' } });
    expect((await sandbox.run(['list', '--check'], { env })).stdout).toMatch(/\tok\n$/);
  });
});

interface StoredRecords {
  readonly links: readonly { readonly credentialItem: string }[];
  readonly intents: readonly { readonly item: string }[];
}

function readRecords(config: string): StoredRecords {
  const path = join(config, 'links.json');
  if (!existsSync(path)) return { links: [], intents: [] };
  return JSON.parse(readFileSync(path, 'utf8')) as StoredRecords;
}

/** @returns Whether gitlink was killed, after so many changes in its folder, before it ended. */
async function linkKilledAt(
  sandbox: KeychainSandbox,
  gitea: GiteaSimulator,
  input: string,
  step: number,
): Promise<boolean> {
  let changes = 0;
  let child: RunningProcess | undefined;
  const watcher = watch(sandbox.configDirectory, () => {
    changes += 1;
    if (changes >= step) child?.kill('SIGKILL');
  });
  try {
    const args = ['link', 'gitea', '--host', gitea.url, '--with-token'];
    const run = await sandbox.run(args, { input, onStart: (started) => (child = started) });
    return run.signal === 'SIGKILL';
  } finally {
    watcher.close();
  }
}
