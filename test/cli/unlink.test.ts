import { cpSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { requireRepository } from '../simulators/gitea/state.ts';
import { addRepository, renameRepository } from '../simulators/gitea/world.ts';
import { sendRequest } from '../simulators/send-request.ts';
import { askHelper, changeLinks, readLinks, toRequest } from '../support/ask-git.ts';
import { createLinked, usualScopes, type Linked, type LinkedOptions } from '../support/linked.ts';
import type { RunningProcess, Sandbox } from '../support/sandbox.ts';

interface UnlinkDocument {
  readonly schema: number;
  readonly link: string;
  readonly steps: readonly { what: string; subject: string; state: string; reason: string | null }[];
  readonly remaining: readonly { what: string; url: string | null }[];
}

const hooked = ['acme/api', 'ada/notes', 'ada/site'];

/** A link with webhooks in three repositories. The request log begins after them. */
async function createHooked(options: LinkedOptions = {}): Promise<Linked> {
  const linked = await createLinked(options);
  const run = await linked.sandbox.run(['regenerate-webhooks', '--url', 'https://ci.acme.example/hook']);
  if (run.exitCode !== 0) throw new Error(run.stderr);
  expect(countHooks(linked.gitea)).toEqual([1, 1, 1]);
  linked.gitea.clearRequests();
  return linked;
}

function countHooks(gitea: GiteaSimulator): number[] {
  return hooked.map((name) => gitea.hooksOf(name).length);
}

function listRequests(gitea: GiteaSimulator): string[] {
  return gitea.requests.map(({ method, path }) => `${method} ${path}`);
}

function summarise({ steps }: UnlinkDocument): string[] {
  return steps.map(({ what, state }) => `${what} ${state}`);
}

/** Every file of the home with its content, without caches of compiled code. */
function snapshot({ home }: Sandbox): Record<string, string> {
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    paths.filter((path) => !path.includes('/.cache/')).map((path) => [path, readFileSync(path, 'latin1')]),
  );
}

/** The token page and the hooks' pages, which a person is sent to. */
function pagesOf(gitea: GiteaSimulator): string[] {
  return [...hooked.map((name) => `${gitea.url}/${name}/settings/hooks`), tokenPageOf(gitea)];
}

function tokenPageOf(gitea: GiteaSimulator): string {
  return `${gitea.url}/user/settings/applications`;
}

async function isAlive(gitea: GiteaSimulator, token: string): Promise<boolean> {
  const { status } = await sendRequest(`${gitea.url}/api/v1/user`, { authorization: `token ${token}` });
  return status === 200;
}

describe('unlink', () => {
  test('B12: hooks, then the credential, then the proof, then the secret, then the record', async () => {
    const { sandbox, gitea, token } = await createHooked({ link: ['--setup-git'] });
    const run = await sandbox.run(['unlink', 'gitea', '--revoke', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    const host = { subject: gitea.url };
    expect(run.json<UnlinkDocument>()).toEqual({
      schema: 1,
      link: 'gitea',
      steps: [
        ...hooked.map((subject) => ({ what: 'webhook', subject, state: 'done', reason: null })),
        { what: 'revoke', ...host, state: 'done', reason: null },
        { what: 'proof', ...host, state: 'done', reason: 'the host refuses it now' },
        { what: 'secret', subject: 'file', state: 'done', reason: null },
        { what: 'git', ...host, state: 'done', reason: null },
        { what: 'record', subject: 'gitea', state: 'done', reason: null },
      ],
      remaining: [],
    });
    const requests = listRequests(gitea);
    expect(requests.slice(0, 3).every((line) => /^DELETE .*\/hooks\/\d+$/.test(line))).toBe(true);
    expect(requests.slice(3, 5)).toEqual(['DELETE /api/v1/token', 'GET /api/v1/token']);
    expect(gitea.requests[4]?.status).toBe(401);
    expect(countHooks(gitea)).toEqual([0, 0, 0]);
    expect(await isAlive(gitea, token)).toBe(false);
    expect(readLinks(sandbox)).toEqual([]);
    expect(readFileSync(join(sandbox.home, '.gitconfig'), 'utf8')).toBe('');
    const again = await sandbox.run(['unlink', 'gitea', '--yes', '--json']);
    expect(again).toMatchObject({ exitCode: 5 });
  });

  test('the pasted token is left without --revoke, and a person is told where it is', async () => {
    for (const flags of [[], ['--no-revoke']]) {
      const { sandbox, gitea, token } = await createLinked();
      const run = await sandbox.run(['unlink', '--yes', '--json', ...flags]);
      expect(run).toMatchObject({ exitCode: 0 });
      const document = run.json<UnlinkDocument>();
      expect(summarise(document)).toEqual(['revoke skipped', 'secret done', 'record done']);
      expect(document.remaining).toEqual([
        { what: 'the token, which is not revoked', url: tokenPageOf(gitea) },
      ]);
      expect(run.stderr).toContain(`Left for you: the token, which is not revoked (${tokenPageOf(gitea)})`);
      expect(await isAlive(gitea, token)).toBe(true);
    }
  });

  test.each([
    { name: 'Gitea 1.24 with write:user', host: { version: '1.24.0' }, scopes: ['write:user'], isDead: true },
    { name: 'Gitea 1.24 without it', host: { version: '1.24.0' }, scopes: [], isDead: false },
    { name: 'Forgejo', host: { flavour: 'forgejo' as const }, scopes: ['write:user'], isDead: false },
  ])('$name: --revoke ends the token where the host lets it, else names the page', async (test) => {
    const { host, scopes, isDead } = test;
    const linked = await createLinked({ gitea: host, scopes: [...usualScopes, ...scopes] });
    const { sandbox, gitea, token } = linked;
    const run = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    const document = run.json<UnlinkDocument>();
    const revocation = isDead ? ['revoke done', 'proof done'] : ['revoke skipped'];
    expect(summarise(document)).toEqual([...revocation, 'secret done', 'record done']);
    expect(document.remaining).toEqual(
      isDead ? [] : [{ what: 'the token, which may still work', url: tokenPageOf(gitea) }],
    );
    expect(await isAlive(gitea, token)).toBe(!isDead);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('--keep-webhooks leaves them and lists them', async () => {
    const { sandbox, gitea } = await createHooked();
    const run = await sandbox.run(['unlink', '--keep-webhooks', '--revoke', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(countHooks(gitea)).toEqual([1, 1, 1]);
    expect(run.json<UnlinkDocument>().remaining).toEqual(
      hooked.map((name) => ({ what: `the webhook of ${name}`, url: `${gitea.url}/${name}/settings/hooks` })),
    );
  });

  test('--forget sends nothing, deletes what is here and lists what is left there', async () => {
    const { sandbox, gitea, token } = await createHooked();
    const run = await sandbox.run(['unlink', '--forget', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(gitea.requests).toEqual([]);
    expect(run.json<UnlinkDocument>().remaining.map(({ url }) => url)).toEqual(pagesOf(gitea));
    expect(readLinks(sandbox)).toEqual([]);
    expect(await isAlive(gitea, token)).toBe(true);
    const both = await sandbox.run(['unlink', '--forget', '--revoke', '--yes']);
    expect([2, 5]).toContain(both.exitCode);
  });

  test('--dry-run shows the steps and changes nothing', async () => {
    const { sandbox, gitea } = await createHooked({ link: ['--setup-git'] });
    const before = snapshot(sandbox);
    const run = await sandbox.run(['unlink', '--dry-run', '--revoke', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    const steps = ['webhook', 'webhook', 'webhook', 'revoke', 'proof', 'secret', 'git', 'record'];
    expect(summarise(run.json())).toEqual(steps.map((what) => `${what} planned`));
    expect(gitea.requests).toEqual([]);
    expect(snapshot(sandbox)).toEqual(before);
  });

  test('without a terminal it needs --yes: exit 2, and nothing is changed', async () => {
    const { sandbox, gitea } = await createHooked();
    const before = snapshot(sandbox);
    for (const flags of [[], ['--revoke'], ['--forget']]) {
      const run = await sandbox.run(['unlink', ...flags, '--json']);
      expect(run).toMatchObject({ exitCode: 2 });
      expect(run.json()).toMatchObject({ error: { code: 'usage', hint: 'If you mean it, add --yes' } });
    }
    expect(gitea.requests).toEqual([]);
    expect(snapshot(sandbox)).toEqual(before);
  });
});

describe('unlink, where something is in the way', () => {
  test('B12: a host that fails keeps the record as unlinking, exit 3, and the next try ends it', async () => {
    const { sandbox, gitea, token } = await createHooked();
    const repair = gitea.faults.add({ fault: { kind: 'html' } });
    const run = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(summarise(run.json())).toEqual([...hooked.map(() => 'webhook failed'), 'revoke skipped']);
    expect(run.stderr).toContain('"gitea" is still there. Try again, or delete it here only');
    expect(readLinks(sandbox)[0]).toMatchObject({ status: 'unlinking' });
    expect((await sandbox.run(['list'])).stdout).toContain('unlinking');
    repair();
    const again = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(again).toMatchObject({ exitCode: 0 });
    expect(countHooks(gitea)).toEqual([0, 0, 0]);
    expect(await isAlive(gitea, token)).toBe(false);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('a proof that cannot be had keeps the record; the next try finds the token dead', async () => {
    const { sandbox, gitea } = await createLinked();
    gitea.faults.add({ method: 'GET', times: 1, fault: { kind: 'html' } });
    const run = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(summarise(run.json())).toEqual(['revoke done', 'proof failed']);
    const again = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(again).toMatchObject({ exitCode: 0 });
    expect(again.json<UnlinkDocument>().steps[0]).toMatchObject({ reason: 'it was dead already' });
  });

  test('a host that says it revoked and still takes the token is not believed', async () => {
    const { sandbox, gitea } = await createLinked();
    gitea.faults.add({ method: 'DELETE', fault: { kind: 'answer', answer: { status: 204 } } });
    const run = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(summarise(run.json())).toEqual(['revoke done', 'proof failed']);
    expect(readLinks(sandbox)).toHaveLength(1);
  });

  test('a token that is dead already: the hooks are left for a person, the link goes', async () => {
    for (const flags of [[], ['--revoke']]) {
      const { sandbox, gitea, token } = await createHooked();
      gitea.state.tokens.delete(token);
      const run = await sandbox.run(['unlink', '--yes', '--json', ...flags]);
      expect(run).toMatchObject({ exitCode: 0 });
      const document = run.json<UnlinkDocument>();
      expect(document.remaining.map(({ url }) => url)).toEqual(pagesOf(gitea).slice(0, 3));
      expect(summarise(document).slice(0, 3)).toEqual(hooked.map(() => 'webhook skipped'));
      expect(readLinks(sandbox)).toEqual([]);
    }
  });

  test('a hook of a repository that the account no longer sees is left for a person', async () => {
    const { sandbox, gitea } = await createHooked();
    const [name = ''] = hooked;
    const repository = requireRepository(gitea.state, name);
    gitea.state.repositories.delete(repository.id);
    gitea.state.reindex();
    const run = await sandbox.run(['unlink', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    const { steps, remaining } = run.json<UnlinkDocument>();
    expect(steps[0]).toMatchObject({
      state: 'skipped',
      reason: expect.stringContaining('no longer sees') as string,
    });
    expect(remaining[0]?.url).toBe(pagesOf(gitea)[0]);
  });

  test('a hook is removed where the repository is now, also when its old name belongs to another', async () => {
    const { sandbox, gitea } = await createHooked();
    const [name = ''] = hooked;
    const [owner = '', old = ''] = name.split('/');
    renameRepository(gitea.state, name, `${owner}/moved`);
    addRepository(gitea.state, { owner, name: old, private: true });
    const run = await sandbox.run(['unlink', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(gitea.hooksOf(`${owner}/moved`)).toEqual([]);
  });

  test('hooks that are gone already are success', async () => {
    const { sandbox, gitea } = await createHooked();
    for (const name of hooked) for (const hook of gitea.hooksOf(name)) gitea.state.hooks.remove(hook);
    const run = await sandbox.run(['unlink', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    const reasons = run
      .json<UnlinkDocument>()
      .steps.slice(0, 3)
      .map(({ reason }) => reason);
    expect(reasons).toEqual(hooked.map(() => 'it was gone already'));
  });

  test('a secret that is not here any more: what only it could do is left for a person', async () => {
    const { sandbox, gitea } = await createHooked();
    changeLinks(sandbox, ([link]) => [{ ...link, credentialItem: 'credential.gone.1' }]);
    const run = await sandbox.run(['unlink', '--revoke', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    const document = run.json<UnlinkDocument>();
    expect(document.remaining.map(({ url }) => url)).toEqual(pagesOf(gitea));
    expect(document.steps[3]).toMatchObject({ what: 'revoke', reason: 'its secret is not here any more' });
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('B3: a store that does not open changes nothing: exit 8', async () => {
    const { sandbox, gitea } = await createHooked();
    const before = readLinks(sandbox);
    const env = { GITLINK_PASSPHRASE: undefined };
    for (const flags of [[], ['--forget']]) {
      const run = await sandbox.run(['unlink', '--yes', '--json', ...flags], { env });
      expect(run).toMatchObject({ exitCode: 8 });
    }
    expect(readLinks(sandbox)).toEqual(before);
    expect(gitea.requests).toEqual([]);
  });

  test("git's helper is silent as soon as unlinking has begun", async () => {
    const { sandbox, gitea } = await createHooked();
    const request = toRequest(`${gitea.url}/ada/notes.git`);
    expect((await askHelper(sandbox, 'git-credential-gitlink', 'get', request)).stdout).not.toBe('');
    gitea.faults.add({ method: 'DELETE', fault: { kind: 'slow', delayMs: 1500 } });
    const running = sandbox.run(['unlink', '--yes']);
    await waitUntil(() => gitea.requests.length > 0);
    const asked = await askHelper(sandbox, 'git-credential-gitlink', 'get', request);
    expect(asked).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    expect(await running).toMatchObject({ exitCode: 0 });
  });

  test('Ctrl-C stops it, exit 130, and the next try ends it', async () => {
    const { sandbox, gitea } = await createHooked();
    gitea.faults.add({ method: 'DELETE', times: 3, fault: { kind: 'slow', delayMs: 1000 } });
    let child: RunningProcess | undefined;
    const running = sandbox.run(['unlink', '--yes'], { onStart: (started) => (child = started) });
    await waitUntil(() => gitea.requests.length > 0);
    child?.kill('SIGINT');
    expect(await running).toMatchObject({ exitCode: 130 });
    expect(readLinks(sandbox)).toHaveLength(1);
    expect(await sandbox.run(['unlink', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(countHooks(gitea)).toEqual([0, 0, 0]);
  });
});

test('Promise 4: killed at any step, unlinking again leaves nothing', { timeout: 120_000 }, async () => {
  const linked = await createHooked({ link: ['--setup-git'] });
  const { sandbox, gitea, token } = linked;
  const restore = keepState(linked);
  const killedAt: number[] = [];
  for (let step = 1; ; step += 8) {
    restore();
    const isKilled = await unlinkKilledAt(sandbox, gitea, step);
    if (isKilled) killedAt.push(step);
    if (readLinks(sandbox).length > 0) {
      const run = await sandbox.run(['unlink', '--revoke', '--yes']);
      expect([step, run]).toMatchObject([step, { exitCode: 0 }]);
    }
    const left = {
      step,
      hooks: countHooks(gitea),
      isAlive: await isAlive(gitea, token),
      links: readLinks(sandbox),
      git: readFileSync(join(sandbox.home, '.gitconfig'), 'utf8'),
      journals: readdirSync(sandbox.stateDirectory).filter((name) => name.startsWith('webhooks-')),
    };
    expect(left).toEqual({ step, hooks: [0, 0, 0], isAlive: false, links: [], git: '', journals: [] });
    if (!isKilled) break;
  }
  expect(killedAt.length).toBeGreaterThan(3);
});

/** @returns Brings the sandbox and its host back to what they are now. */
function keepState({ sandbox, gitea, token }: Linked): () => void {
  const names = ['.config', '.local', '.gitconfig'];
  const backup = join(sandbox.home, 'backup');
  for (const name of names) cpSync(join(sandbox.home, name), join(backup, name), { recursive: true });
  const hooks = hooked.flatMap((name) => gitea.hooksOf(name));
  const known = gitea.state.tokens.get(token);
  return () => {
    for (const name of names) {
      rmSync(join(sandbox.home, name), { recursive: true });
      cpSync(join(backup, name), join(sandbox.home, name), { recursive: true });
    }
    for (const hook of hooks) gitea.state.hooks.remove(hook);
    for (const hook of hooks) gitea.state.hooks.add(hook);
    if (known) gitea.state.tokens.set(token, known);
    gitea.clearRequests();
  };
}

/**
 * Unlinks, and kills gitlink as soon as it has done so many steps: requests that arrived, and changes of files.
 *
 * @returns Whether it was killed before it ended.
 */
async function unlinkKilledAt(sandbox: Sandbox, gitea: GiteaSimulator, step: number): Promise<boolean> {
  let changes = 0;
  const watchers = [sandbox.configDirectory, sandbox.stateDirectory, sandbox.home].map((folder) =>
    watch(folder, () => (changes += 1)),
  );
  let child: RunningProcess | undefined;
  const poll = setInterval(() => {
    if (changes + gitea.requests.length >= step) child?.kill('SIGKILL');
  }, 1);
  try {
    const run = await sandbox.run(['unlink', '--revoke', '--yes'], {
      onStart: (started) => (child = started),
    });
    rmSync(join(sandbox.home, '.gitconfig.lock'), { force: true });
    return run.signal === 'SIGKILL';
  } finally {
    clearInterval(poll);
    for (const watcher of watchers) watcher.close();
  }
}

async function waitUntil(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}
