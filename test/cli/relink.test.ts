import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Records } from '../../src/store/link-schema.ts';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { addToken, createLinked, startGitea, usualScopes, type Linked } from '../support/linked.ts';
import { createSandbox, type Run, type RunningProcess, type Sandbox } from '../support/sandbox.ts';

interface LinkDocument extends Readonly<Record<string, unknown>> {
  readonly status: string;
}

function linkOf(run: Run): LinkDocument {
  return run.json<{ readonly link: LinkDocument }>().link;
}

function readRecords({ configDirectory }: Sandbox): Records {
  return JSON.parse(readFileSync(join(configDirectory, 'links.json'), 'utf8')) as Records;
}

/** Whether the server still knows the token. */
function isAlive(gitea: GiteaSimulator, token: string): boolean {
  return gitea.state.tokens.has(token);
}

function newToken({ sandbox, gitea }: Linked, user = 'ada'): string {
  return sandbox.guard(addToken(gitea, usualScopes, user));
}

describe('relink', () => {
  test('a new token: verified first, then stored; name, restriction and webhooks stay', async () => {
    const linked = await createLinked({
      link: ['--namespace', 'acme', '--webhook-url', 'https://ci.example/hook'],
    });
    const { sandbox, gitea, token } = linked;
    const before = linkOf(await sandbox.run(['show', '--json']));
    const fresh = newToken(linked);
    const run = await sandbox.run(['relink', 'gitea', '--with-token', '--json'], { input: fresh });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('The old one was left alone');
    const same = ['id', 'name', 'restriction', 'webhook', 'createdAt', 'account'];
    for (const key of same) expect(linkOf(run)[key], key).toEqual(before[key]);
    expect(isAlive(gitea, token)).toBe(true);
    gitea.state.tokens.delete(token);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    expect(readRecords(sandbox).intents).toEqual([]);
  });

  test('a wrong token is exit 4 and leaves the old credential in place', async () => {
    const { sandbox } = await createLinked();
    const before = readRecords(sandbox);
    const wrong = sandbox.guard('c'.repeat(40));
    const run = await sandbox.run(['relink', '--with-token', '--revoke-old', '--json'], { input: wrong });
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.json()).toMatchObject({ error: { code: 'auth' } });
    expect(readRecords(sandbox)).toEqual(before);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('a host that does not answer is exit 7 and changes nothing', async () => {
    const linked = await createLinked();
    const { sandbox, gitea } = linked;
    const before = readRecords(sandbox);
    gitea.faults.add({ path: /token/, fault: { kind: 'html' } });
    const run = await sandbox.run(['relink', '--with-token', '--revoke-old'], { input: newToken(linked) });
    expect(run).toMatchObject({ exitCode: 7 });
    expect(readRecords(sandbox)).toEqual(before);
  });

  test('another account is refused without --allow-account-change', async () => {
    const linked = await createLinked();
    const { sandbox, gitea, token } = linked;
    const bobs = newToken(linked, 'bob');
    const args = ['relink', '--with-token', '--revoke-old', '--json'];
    const refused = await sandbox.run(args, { input: bobs });
    expect(refused).toMatchObject({ exitCode: 2 });
    expect(refused.json()).toMatchObject({
      error: { code: 'usage', hint: expect.stringContaining('--allow-account-change') as string },
    });
    expect(isAlive(gitea, token)).toBe(true);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    const allowed = await sandbox.run([...args, '--allow-account-change'], { input: bobs });
    expect(linkOf(allowed)).toMatchObject({ account: { login: 'bob' } });
  });

  test('--host: a server that has moved', async () => {
    const { sandbox, gitea } = await createLinked();
    const moved = await startGitea();
    const fresh = sandbox.guard(addToken(moved, usualScopes));
    gitea.clearRequests();
    const run = await sandbox.run(['relink', '--host', moved.url, '--with-token', '--json'], {
      input: fresh,
    });
    expect(linkOf(run)).toMatchObject({ host: moved.url, name: 'gitea' });
    expect(gitea.requests).toEqual([]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('a link whose secret is damaged or gone can be relinked', async () => {
    const linked = await createLinked();
    const { sandbox } = linked;
    const path = join(sandbox.configDirectory, 'links.json');
    const records = readRecords(sandbox);
    const links = records.links.map((link) => ({ ...link, credentialItem: 'credential.gone' }));
    writeFileSync(path, JSON.stringify({ ...records, links }));
    expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 8 });
    const run = await sandbox.run(['relink', '--with-token', '--revoke-old', '--json'], {
      input: newToken(linked),
    });
    // Nobody can revoke what is gone, which is said.
    expect(run).toMatchObject({ exitCode: 3 });
    expect(run.stderr).toContain('could not be revoked: it is no longer in the file.');
    expect(linkOf(run)).toMatchObject({ status: 'ok' });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('what is missing or said twice is exit 2', async () => {
    const { sandbox } = await createLinked();
    const file = join(sandbox.home, 'token.txt');
    writeFileSync(file, '\n');
    for (const args of [
      ['relink'],
      ['relink', '--with-token', '--token-env', 'TOKEN'],
      ['relink', '--token-env', 'NOT_SET'],
      ['relink', '--token-file', join(sandbox.home, 'gone')],
      ['relink', '--token-file', file],
      ['relink', '--with-token', '--expires', '2020-01-01'],
      ['relink', '--with-token', '--expires', 'tomorrow'],
      ['relink', '--with-token', '--for', 'fun'],
    ]) {
      expect(await sandbox.run([...args, '--json']), args.join(' ')).toMatchObject({ exitCode: 2 });
    }
    expect(await sandbox.run(['relink', 'nothing', '--with-token'])).toMatchObject({ exitCode: 5 });
  });
});

describe('relink --revoke-old', () => {
  test('Gitea 1.27: the old token ends itself', async () => {
    const linked = await createLinked();
    const { sandbox, gitea, token } = linked;
    const fresh = newToken(linked);
    const run = await sandbox.run(['relink', '--with-token', '--revoke-old'], { input: fresh });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('The old one was revoked.');
    expect([isAlive(gitea, token), isAlive(gitea, fresh)]).toEqual([false, true]);
    expect(gitea.requests.at(-1)).toMatchObject({ method: 'DELETE', path: '/api/v1/token', status: 204 });
  });

  test('Gitea 1.24: by Basic, found by its last eight characters', async () => {
    const linked = await createLinked({
      gitea: { version: '1.24.6' },
      scopes: ['write:user', ...usualScopes.slice(1)],
    });
    const { sandbox, gitea, token } = linked;
    const run = await sandbox.run(['relink', '--with-token', '--revoke-old'], { input: newToken(linked) });
    expect(run.stderr).toContain('The old one was revoked.');
    expect(isAlive(gitea, token)).toBe(false);
    expect(gitea.requests.at(-1)).toMatchObject({
      method: 'DELETE',
      authorization: { scheme: 'basic' },
      status: 204,
    });
  });

  test('Forgejo: says that it cannot, and where a person can', async () => {
    const linked = await createLinked({ gitea: { flavour: 'forgejo' } });
    const { sandbox, gitea, token } = linked;
    const run = await sandbox.run(['relink', '--with-token', '--revoke-old'], { input: newToken(linked) });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain(`Delete it at ${gitea.url}/user/settings/applications`);
    expect(isAlive(gitea, token)).toBe(true);
  });

  test('a token that is dead already, and one that is given again', async () => {
    const linked = await createLinked();
    const { sandbox, gitea, token } = linked;
    gitea.state.tokens.delete(token);
    const fresh = newToken(linked);
    const args = ['relink', '--with-token', '--revoke-old'];
    expect((await sandbox.run(args, { input: fresh })).stderr).toContain('The old one was dead already.');
    // The same token is not the old one.
    expect(await sandbox.run(args, { input: fresh })).toMatchObject({ exitCode: 0 });
    expect(isAlive(gitea, fresh)).toBe(true);
  });

  test('a host that fails now is exit 3: the link works, and what is left to do is said', async () => {
    const linked = await createLinked();
    const { sandbox, gitea, token } = linked;
    gitea.faults.add({ method: 'DELETE', fault: { kind: 'html', status: 401 } });
    const run = await sandbox.run(['relink', '--with-token', '--revoke-old', '--json'], {
      input: newToken(linked),
    });
    expect(run).toMatchObject({ exitCode: 3 });
    expect(linkOf(run)).toMatchObject({ status: 'ok' });
    expect(run.stderr).toContain('could not be revoked');
    expect(run.stderr).toContain(`Delete it at ${gitea.url}/user/settings/applications`);
    expect(isAlive(gitea, token)).toBe(true);
    expect(readRecords(sandbox).intents).toEqual([]);
  });
});

describe('relink is stopped while the old token is being revoked', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s: exit %i, and what stands is said: the new token, and perhaps the old',
    async (signal, code) => {
      const linked = await createLinked();
      const { sandbox, gitea } = linked;
      const fresh = newToken(linked);
      const run = await relinkWhileRevoking(linked, fresh, signal);
      expect(run, run.stderr).toMatchObject({ exitCode: code });
      expect(run.json()).toMatchObject({ error: { code: 'cancelled' } });
      expect(run.stderr).toContain('"gitea" has its new credential; the old one may still work.');
      expect(run.stderr).toContain(`Delete it at ${gitea.url}/user/settings/applications`);
      expect(run.stderr).not.toContain('could not be revoked');
      expect(readRecords(sandbox).intents).toEqual([]);
      gitea.clearRequests();
      expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    },
  );
});

describe('B11: relink is killed', () => {
  test('at any moment the link works with one of its two tokens, and no secret is forgotten', async () => {
    const linked = await createLinked();
    const { sandbox, gitea } = linked;
    const startedAt = performance.now();
    expect(await relinkOnce(linked)).toMatchObject({ exitCode: 0 });
    const durationMs = performance.now() - startedAt;
    const rounds = 12;
    let killed = 0;
    for (let round = 0; round < rounds; round += 1) {
      const oldItem = readRecords(sandbox).links[0]?.credentialItem ?? '';
      // The first part of a run is Node's start, when nothing can go wrong.
      const delayMs = durationMs * (0.2 + (0.8 * round) / rounds);
      const run = await relinkOnce(linked, (child) => setTimeout(() => child.kill('SIGKILL'), delayMs));
      if (run.signal === 'SIGKILL') killed += 1;
      const check = await sandbox.run(['list', '--check', '--json']);
      expect(check, `killed after ${Math.round(delayMs)} ms: ${check.stderr}`).toMatchObject({ exitCode: 0 });
      const { intents, links } = readRecords(sandbox);
      const items = intents.map(({ item }) => item);
      expect(items).not.toContain(links[0]?.credentialItem);
      const isForgotten = oldItem !== links[0]?.credentialItem && !items.includes(oldItem);
      if (isForgotten) expect(await hasSecret(sandbox, oldItem)).toBe(false);
    }
    expect(killed).toBeGreaterThan(rounds / 3);
    expect(gitea.failures).toEqual([]);
  }, 60_000);

  test('while the old token is being revoked: the records name the old secret', async () => {
    const linked = await createLinked();
    const { sandbox } = linked;
    const oldItem = readRecords(sandbox).links[0]?.credentialItem;
    const run = await relinkWhileRevoking(linked, newToken(linked), 'SIGKILL');
    expect(run.signal).toBe('SIGKILL');
    expect(readRecords(sandbox).intents).toMatchObject([{ item: oldItem }]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });
});

/** Relinks, and ends the command by a signal as soon as the host is asked to end the old token. */
function relinkWhileRevoking(
  { sandbox, gitea }: Linked,
  token: string,
  signal: NodeJS.Signals,
): Promise<Run> {
  gitea.faults.add({ method: 'DELETE', fault: { kind: 'slow', delayMs: 60_000 } });
  return sandbox.run(['relink', '--with-token', '--revoke-old', '--json'], {
    input: token,
    onStart: (child) => {
      const timer = setInterval(() => {
        if (!gitea.requests.some(({ method }) => method === 'DELETE')) return;
        clearInterval(timer);
        child.kill(signal);
      }, 5);
    },
  });
}

/** Whether the secret store has an item: asked by way of a link that names it. */
async function hasSecret(sandbox: Sandbox, item: string): Promise<boolean> {
  const path = join(sandbox.configDirectory, 'links.json');
  const before = readFileSync(path);
  const records = readRecords(sandbox);
  const links = records.links.map((link) => ({ ...link, credentialItem: item }));
  writeFileSync(path, JSON.stringify({ ...records, links }));
  const check = await sandbox.run(['list', '--check']);
  writeFileSync(path, before);
  return !check.stdout.includes('secretMissing');
}

/** Relinks with a token of its own; the old token is left alone, so that either may be the one that is used. */
function relinkOnce(linked: Linked, onStart?: (child: RunningProcess) => void): Promise<Run> {
  return linked.sandbox.run(['relink', '--with-token'], {
    input: newToken(linked),
    ...(onStart ? { onStart } : {}),
  });
}

describe('relink without links', () => {
  test('is exit 5', async () => {
    expect(await createSandbox().run(['relink', '--with-token'])).toMatchObject({ exitCode: 5 });
  });
});
