import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GithubApp } from '../simulators/github/app-state.ts';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { visit } from '../support/browser.ts';
import { createGithubSandbox, startGithub } from '../support/linked-github.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';
import { runForSecret } from '../support/ask-git.ts';
import { runWithBrowser } from './sign-in-kit.ts';

const hook = 'http://127.0.0.1:9/hook';

interface WithHook {
  readonly github: GithubSimulator;
  readonly sandbox: Sandbox;
  readonly app: GithubApp;
}

/** An App with a webhook, made and installed on ada's account by one visit of the browser. */
async function setUp(): Promise<WithHook> {
  const github = await startGithub();
  const sandbox = createGithubSandbox(github);
  const args = ['link', 'github', '--host', github.url, '--webhook-url', hook];
  const run = await runWithBrowser(sandbox, args, {
    act: (url) => visit(url, 'approve', (address) => address.includes('/settings/installations/')),
  });
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  const [app] = github.state.apps.values();
  if (!app) throw new Error('No App was made.');
  return { github, sandbox, app };
}

/** Reads the secret that gitlink has; the host's is guarded by the sandbox where it stands. */
async function readSecret({ sandbox }: WithHook, ...flags: readonly string[]): Promise<string> {
  const run = await runForSecret(sandbox, process.execPath, [
    join(import.meta.dirname, '../../bin/gitlink.js'),
    ...['webhook-secret', 'github', ...flags],
  ]);
  return run.stdout.trim();
}

function regenerate({ sandbox }: WithHook, ...flags: readonly string[]): Promise<Run> {
  return sandbox.run(['regenerate-webhooks', 'github', '--json', ...flags]);
}

describe('the webhook of an App', () => {
  test('it is the usual one of the link, and one request gives it a new secret', async () => {
    const made = await setUp();
    const before = made.app.hook?.secret ?? '';
    expect(await readSecret(made)).toBe(before);
    const run = await regenerate(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      target: { url: hook, at: 'app' },
      results: [{ repository: made.app.slug, action: 'rotate', state: 'confirmed' }],
      summary: { rotated: 1 },
    });
    expect(made.app.hook?.secret).toMatch(/^[0-9a-f]{64}$/);
    expect(made.app.hook?.secret).not.toBe(before);
    expect(await readSecret(made)).toBe(made.app.hook?.secret);
    const records = JSON.parse(
      readFileSync(join(made.sandbox.configDirectory, 'links.json'), 'utf8'),
    ) as object;
    expect(records).toMatchObject({ intents: [], clients: [{ app: { webhook: { nextSecretItem: null } } }] });
  });

  test('the receiver gets the secret before the host does, and a refusal sends nothing', async () => {
    const made = await setUp();
    const before = made.app.hook?.secret;
    const refused = await regenerate(made, '--on-secret', 'exit 3');
    expect(refused.exitCode).not.toBe(0);
    expect(made.app.hook?.secret).toBe(before);
    // The same secret is offered again, and the first one is good until then.
    const note = join(made.sandbox.home, 'phases');
    const command = `printf '%s ' "$GITLINK_PHASE" >> '${note}'; cat > /dev/null`;
    const run = await regenerate(made, '--on-secret', command);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(readFileSync(note, 'utf8')).toBe('new retire ');
  });

  test('a lost answer leaves a secret that the next run sends again', async () => {
    const made = await setUp();
    made.github.faults.add({ method: 'PATCH', path: /hook\/config/, fault: { kind: 'lost' } });
    const lost = await regenerate(made);
    expect(lost.exitCode).toBe(7);
    made.github.faults.clear();
    const next = await readSecret(made);
    const run = await regenerate(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect([made.app.hook?.secret, await readSecret(made)]).toEqual([next, next]);
  });

  test('F9: while the host may have a secret, no other takes its place, and --repair sends it again', async () => {
    const made = await setUp();
    made.github.faults.add({ method: 'PATCH', path: /hook\/config/, fault: { kind: 'lost' } });
    expect((await regenerate(made)).exitCode).toBe(7);
    made.github.faults.clear();
    const next = await readSecret(made);
    const other = await made.sandbox.run(['regenerate-webhooks', 'github', '--json', '--with-secret'], {
      input: 'supplied-secret-0123456789',
    });
    expect(other).toMatchObject({ exitCode: 2 });
    expect(other.stderr).toContain('Finish it first');
    expect(await readSecret(made)).toBe(next);
    const repaired = await regenerate(made, '--repair');
    expect(repaired.json()).toMatchObject({ results: [{ action: 'repair', state: 'confirmed' }] });
    expect([made.app.hook?.secret, await readSecret(made)]).toEqual([next, next]);
  });

  test('the secret of an unfinished rotation that is lost is replaced by a new one', async () => {
    const made = await setUp();
    made.github.faults.add({ method: 'PATCH', path: /hook\/config/, fault: { kind: 'lost' } });
    expect((await regenerate(made)).exitCode).toBe(7);
    made.github.faults.clear();
    const path = join(made.sandbox.configDirectory, 'links.json');
    const records = readFileSync(path, 'utf8');
    writeFileSync(path, records.replace(/("nextSecretItem": ?"app-webhook\.[^"]*\.)[^".]*"/, '$1gone"'));
    const run = await regenerate(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await readSecret(made)).toBe(made.app.hook?.secret);
  });

  test('--remove says where alone that can be done', async () => {
    const made = await setUp();
    const run = await regenerate(made, '--remove');
    expect(run).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain("switched off on the App's page only");
  });

  test('--dry-run names every link of the App and changes nothing; --repair leaves what is right', async () => {
    const made = await setUp();
    const before = made.app.hook?.secret;
    const dry = await regenerate(made, '--dry-run');
    expect(dry.json()).toMatchObject({
      results: [{ action: 'rotate', state: 'planned', reason: expect.stringContaining('github') as string }],
    });
    const repaired = await regenerate(made, '--repair');
    expect(repaired.json()).toMatchObject({ results: [{ action: 'unchanged', state: 'confirmed' }] });
    expect(made.app.hook?.secret).toBe(before);
  });

  test('a restricted link may not rotate it, and another level is the way', async () => {
    const made = await setUp();
    await made.sandbox.run(['restrict', 'github', '--repo', 'ada/notes']);
    const run = await regenerate(made);
    expect([run.exitCode, run.stderr]).toEqual([6, expect.stringContaining('--at repositories')]);
    const below = await regenerate(
      made,
      '--at',
      'repositories',
      '--url',
      'http://127.0.0.1:9/other',
      '--allow-http',
    );
    expect(below, below.stderr).toMatchObject({ exitCode: 0 });
    expect(made.github.hooksOf('ada/notes')).toHaveLength(1);
    expect(made.github.hooksOf('ada/site')).toHaveLength(0);
  });
});
