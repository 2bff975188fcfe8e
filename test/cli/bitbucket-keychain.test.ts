import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  createKeychainSandbox,
  isSecretServiceMissing,
  type KeychainSandbox,
} from '../keychain/keychain-kit.ts';
import type { BitbucketSimulator } from '../simulators/bitbucket/server.ts';
import { dyingPreload } from '../support/dying-preload.ts';
import { readLinks, runForSecret } from '../support/ask-git.ts';
import { createSignedIn, type BitbucketWithConsumer } from '../support/linked-bitbucket.ts';
import type { Sandbox } from '../support/sandbox.ts';
import { bundle } from '../vault/bundle.ts';

/** What Windows takes for one item, in characters. */
const windowsLimit = 1_280;
const project = resolve(import.meta.dirname, '../..');

/** As Atlassian's developers say it is: a refresh token that was used is good for ten minutes more. */
const lenient = { bitbucket: { settings: { refreshGraceS: 600 } } };

async function createInKeychain(): Promise<BitbucketWithConsumer<KeychainSandbox>> {
  const opened = await createKeychainSandbox();
  return createSignedIn(lenient, () => opened);
}

/** The access token and the refresh token that came last. */
function findNewestPair({ state }: BitbucketSimulator): readonly [access: string, refresh: string] {
  const access = [...state.tokens.values()].filter(({ kind }) => kind === 'oauth').at(-1)?.secret;
  const refresh = [...state.oauth.refreshTokens.keys()].at(-1);
  if (access === undefined || refresh === undefined) throw new Error('Nobody has signed in.');
  return [access, refresh];
}

describe.skipIf(isSecretServiceMissing())('fact 4: tokens of 2,500 characters in the real keychain', () => {
  test('a pair is kept, read by git, renewed, and gone after unlink', async () => {
    const { sandbox, bitbucket } = await createInKeychain();
    const pair = findNewestPair(bitbucket);
    for (const token of pair) {
      expect(token.length).toBeGreaterThan(2_400);
      expect(await sandbox.holds(token)).toBe(true);
    }
    bitbucket.oauth.endAccessTokens();
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
    const renewed = findNewestPair(bitbucket);
    for (const token of renewed) expect(await sandbox.holds(token)).toBe(true);
    for (const token of pair) expect(await sandbox.holds(token)).toBe(false);
    const filled = await runForSecret(
      sandbox,
      process.execPath,
      [join(project, 'bin/git-credential-gitlink.js'), 'get'],
      {
        input: `protocol=http\nhost=${new URL(bitbucket.url).host}\npath=acme/api.git\n\n`,
        env: sandbox.keychainEnv,
      },
    );
    expect(filled.stdout).toContain(`password=${renewed[0]}\n`);
    expect(await sandbox.run(['unlink', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['client', 'remove', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.listItems()).toEqual([]);
  });

  test('killed before each step of a renewal the link is never lost', { timeout: 120_000 }, async () => {
    const { sandbox, bitbucket } = await createInKeychain();
    await killAtEachStep(sandbox, bitbucket, async (where) => {
      for (const token of findNewestPair(bitbucket)) {
        expect([where, await sandbox.holds(token)]).toEqual([where, true]);
      }
    });
  });

  /**
   * gitlink itself splits items on Windows alone. So what splits them is run here over what speaks to the keychain,
   * in processes of their own, each killed before another of its writes.
   */
  test(
    'with the limit of Windows: a pair over a pair, killed before each write, is the old one or the new',
    { timeout: 120_000 },
    async () => {
      const { sandbox, bitbucket } = await createInKeychain();
      const [before, after] = [pack(findNewestPair(bitbucket)), pack(await renew(sandbox, bitbucket))];
      expect(before.length).toBeGreaterThan(3 * windowsLimit);
      const program = await bundle({ text: chunksProgram });
      onTestFinished(program.remove);
      const use = (input: string, dieAt = 0) =>
        runForSecret(sandbox, process.execPath, [program.path], {
          input,
          env: { ...sandbox.keychainEnv, DIE_AT: String(dieAt) },
        });
      let switches = 0;
      let last = before;
      let kills = 0;
      for (;;) {
        const reset = await use(before);
        expect(reset, reset.stderr).toMatchObject({ exitCode: 0 });
        const { signal } = await use(after, kills + 1);
        const { stdout: value } = await use('');
        // Not compared as such: a difference would be printed.
        expect([kills, value === before || value === after]).toEqual([kills, true]);
        if (value !== last) switches += 1;
        last = value;
        if (signal !== 'SIGKILL') break;
        kills += 1;
      }
      expect([last === after, switches]).toEqual([true, 1]);
      // Four chunks or more, the head, and as many old chunks.
      expect(kills).toBeGreaterThan(8);
      const items = (await sandbox.listItems()).filter((item) => item.startsWith('pair'));
      expect(items).toHaveLength(1 + Math.ceil(after.length / windowsLimit));
    },
  );
});

test(
  'fact 4: the same with the encrypted file: killed before each step of a renewal the link is never lost',
  { timeout: 120_000 },
  async () => {
    const { sandbox, bitbucket } = await createSignedIn(lenient);
    await killAtEachStep(sandbox, bitbucket, () => Promise.resolve());
  },
);

/** Ends a command at each of its steps in turn; each time the next command must go on with the sign-in. */
async function killAtEachStep(
  sandbox: Sandbox,
  bitbucket: BitbucketSimulator,
  judge: (where: string) => Promise<void>,
): Promise<void> {
  const preload = join(sandbox.home, 'die.cjs');
  const note = join(sandbox.home, 'died-at');
  writeFileSync(preload, dyingPreload);
  for (let step = 1; ; step += 1) {
    bitbucket.oauth.endAccessTokens();
    rmSync(note, { force: true });
    const env = { NODE_OPTIONS: `--require=${preload}`, DIE_AT: String(step), DIE_NOTE: note };
    await sandbox.run(['list', '--check'], { env });
    if (!existsSync(note)) {
      expect(step).toBeGreaterThan(6);
      return;
    }
    const where = `step ${step}, before ${readFileSync(note, 'utf8')}`;
    // Within the grace of Bitbucket even an answer that was lost is asked for again.
    const run = await sandbox.run(['repos']);
    expect([where, run.exitCode, run.stderr]).toEqual([where, 0, expect.any(String)]);
    expect(readLinks(sandbox)).toMatchObject([{ name: 'bitbucket', status: 'ok' }]);
    await judge(where);
  }
}

/** Writes the pair of standard input to an item, or prints the item where there is none. */
const chunksProgram = `
import { readFileSync } from 'node:fs';
import { createChunkedItems } from './src/vault/chunked-items.ts';
import { readKeychainEntry, removeKeychainEntry, writeKeychainEntry } from './src/vault/keychain-entry.ts';

let changes = 0;
const beforeChange = () => {
  changes += 1;
  if (changes === Number(process.env.DIE_AT)) process.kill(process.pid, 'SIGKILL');
};
const items = createChunkedItems(
  {
    read: readKeychainEntry,
    write: (item, value) => {
      if (value.length > ${windowsLimit}) throw new Error('too long for Windows');
      beforeChange();
      return writeKeychainEntry(item, value);
    },
    remove: (item) => {
      beforeChange();
      return removeKeychainEntry(item);
    },
  },
  ${windowsLimit},
);
const value = readFileSync(0, 'utf8');
if (value === '') process.stdout.write((await items.read('pair')) ?? '');
else await items.write('pair', value);
`;

function pack([access, refresh]: readonly [string, string]): string {
  return JSON.stringify({ access, refresh });
}

async function renew(
  sandbox: KeychainSandbox,
  bitbucket: BitbucketSimulator,
): Promise<readonly [string, string]> {
  bitbucket.oauth.endAccessTokens();
  expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  return findNewestPair(bitbucket);
}
