import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { startServer } from '../http/http-kit.ts';
import type { GithubHook } from '../simulators/github/hook-state.ts';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { readLinks } from '../support/ask-git.ts';
import { createInstalledGithub, createLinkedGithub } from '../support/linked-github.ts';
import type { Run, RunningProcess, Sandbox } from '../support/sandbox.ts';
import { runWithBrowser } from './sign-in-kit.ts';
import { until, type WebhookDocument } from './webhooks-kit.ts';

const url = 'http://127.0.0.1:9/canary';
const scopes = ['repo', 'read:org', 'admin:org_hook'] as const;

interface Place {
  readonly sandbox: Sandbox;
  readonly github: GithubSimulator;
}

function regenerate(
  { sandbox }: Pick<Place, 'sandbox'>,
  link: string,
  ...flags: readonly string[]
): Promise<Run> {
  return sandbox.run(['regenerate-webhooks', link, '--json', '--allow-http', ...flags]);
}

const atAcme = ['--url', url, '--at', 'namespace', '--namespace', 'acme'] as const;

/** What became of each place, as `action state`. */
function outcomesOf(run: Run): Readonly<Record<string, string>> {
  const { results } = run.json<WebhookDocument>();
  return Object.fromEntries(
    results.map(({ repository, action, state }) => [repository, `${action} ${state}`]),
  );
}

function reasonsOf(run: Run): string {
  return run
    .json<WebhookDocument>()
    .results.map(({ reason }) => reason)
    .join('\n');
}

function only({ github }: Place, place: string): GithubHook {
  const [hook, ...others] = github.hooksOf(place);
  if (!hook || others.length > 0) throw new Error(`${place} has ${github.hooksOf(place).length} webhooks.`);
  return hook;
}

async function readSecret({ sandbox }: Place, link: string): Promise<string> {
  return (await sandbox.run(['webhook-secret', link])).stdout.trim();
}

describe('a webhook of an organization', () => {
  test('is one, with the secret that gitlink has, and is rotated in place; repositories get none', async () => {
    const linked = await createLinkedGithub({ token: { scopes } });
    const run = await regenerate(linked, 'github', ...atAcme);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ target: { at: 'namespace', url }, summary: { created: 1 } });
    const { id, secret, events } = only(linked, 'acme');
    expect(events).toEqual(['push', 'pull_request']);
    expect(secret).toBe(await readSecret(linked, 'github'));
    expect(linked.github.hooksOf('acme/api')).toEqual([]);
    const again = await regenerate(linked, 'github', ...atAcme);
    expect(outcomesOf(again)).toEqual({ acme: 'rotate confirmed' });
    expect(only(linked, 'acme')).toMatchObject({ id, secret: await readSecret(linked, 'github') });
    expect(only(linked, 'acme').secret).not.toBe(secret);
    // Nothing but the secret was sent, which would be lost with a change of the whole hook.
    const changes = linked.github.requests.filter(({ method }) => method === 'PATCH');
    expect(changes.map(({ path }) => path)).toEqual([`/api/v3/orgs/acme/hooks/${id}/config`]);
  });

  test('where the account is no owner it is skipped, and the reason says who could', async () => {
    const linked = await createLinkedGithub({ token: { scopes } });
    const run = await regenerate(linked, 'github', '--url', url, '--at', 'namespace');
    expect(outcomesOf(run)).toEqual({ acme: 'create confirmed', others: 'skip skipped' });
    expect(reasonsOf(run)).toContain('owners of the organization');
    expect(linked.github.hooksOf('others')).toEqual([]);
  });

  test('without its scope: said by name, and nothing is made', async () => {
    const linked = await createLinkedGithub({ token: { scopes: ['repo', 'read:org'] } });
    const run = await regenerate(linked, 'github', ...atAcme);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('admin:org_hook');
    expect(run.stderr).toContain('gitlink relink github --for clone,webhooks,namespace-webhooks');
    expect(linked.github.hooksOf('acme')).toEqual([]);
  });

  test('that reaches further than the link may is refused: exit 6', async () => {
    const linked = await createLinkedGithub({ token: { scopes }, link: ['--repo', 'acme/api'] });
    const run = await regenerate(linked, 'github', ...atAcme);
    expect([run.exitCode, run.stderr]).toEqual([6, expect.stringContaining('--at repositories')]);
    expect(linked.github.hooksOf('acme')).toEqual([]);
  });

  test('--remove takes it away; unlink does, too, before the token goes', async () => {
    const linked = await createLinkedGithub({ token: { scopes } });
    const { sandbox, github } = linked;
    await regenerate(linked, 'github', ...atAcme);
    const removed = await regenerate(linked, 'github', '--remove', '--at', 'namespace');
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    expect(github.hooksOf('acme')).toEqual([]);
    await regenerate(linked, 'github', ...atAcme);
    await regenerate(linked, 'github', '--url', url, '--at', 'repositories', '--repo', 'ada/notes');
    expect([github.hooksOf('acme'), github.hooksOf('ada/notes')].flat()).toHaveLength(2);
    const run = await sandbox.run(['unlink', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect([github.hooksOf('acme'), github.hooksOf('ada/notes')].flat()).toEqual([]);
    const steps = run.json<{ steps: { what: string; subject: string; state: string }[] }>().steps;
    expect(steps.slice(0, 2)).toMatchObject([
      { what: 'webhook', subject: 'acme', state: 'done' },
      { what: 'webhook', subject: 'ada/notes', state: 'done' },
    ]);
    expect(readLinks(sandbox)).toEqual([]);
  });
});

describe('§0 no. 11: webhooks of organizations are shown to their makers', () => {
  /** One link by a token, one by an OAuth App. */
  async function createBoth(): Promise<Place> {
    const linked = await createLinkedGithub({ token: { scopes }, link: ['--name', 'pasted'] });
    const { sandbox, github } = linked;
    const { clientId, clientSecret } = github.oauth.addApplication();
    const client = [
      'client',
      'add',
      'github',
      '--host',
      github.url,
      '--client-id',
      clientId,
      '--with-secret',
    ];
    expect(await sandbox.run(client, { input: clientSecret })).toMatchObject({ exitCode: 0 });
    const more = ['--method', 'oauth', '--name', 'signed-in', '--scope', 'repo', '--scope', 'read:org'];
    const args = ['link', 'github', '--host', github.url, ...more, '--scope', 'admin:org_hook'];
    const run = await runWithBrowser(sandbox, args);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    return linked;
  }

  test('each link rotates its own, and leaves alone what it is not shown', async () => {
    const made = await createBoth();
    const { github } = made;
    await regenerate(made, 'pasted', ...atAcme);
    const other = ['--url', `${url}/other`, '--at', 'namespace', '--namespace', 'acme'];
    const run = await regenerate(made, 'signed-in', ...other);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const before = github
      .hooksOf('acme')
      .map(({ id, secret, creator }) => [id, secret, creator?.kind ?? null]);
    expect(before.map(([, , creator]) => creator)).toEqual([null, 'oauthApp']);
    const rotated = await regenerate(made, 'signed-in', ...other);
    expect(outcomesOf(rotated)).toEqual({ acme: 'rotate confirmed' });
    const after = github
      .hooksOf('acme')
      .map(({ id, secret, creator }) => [id, secret, creator?.kind ?? null]);
    expect(after[0]).toEqual(before[0]);
    expect([after[1]?.[0], after[1]?.[1] === before[1]?.[1]]).toEqual([before[1]?.[0], false]);
  });

  test('one for the same address that the other made: failed, explained, and not made twice', async () => {
    const made = await createBoth();
    await regenerate(made, 'signed-in', ...atAcme);
    const { id, secret } = only(made, 'acme');
    const run = await regenerate(made, 'pasted', ...atAcme);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(reasonsOf(run)).toContain('because an OAuth App or somebody else made it');
    expect(only(made, 'acme')).toMatchObject({ id, secret });
  });
});

describe('webhooks by an App', () => {
  const withHooks = { metadata: 'read', contents: 'write', repository_hooks: 'write' } as const;

  test('repositories: the installation’s token makes them, nobody’s role is asked for', async () => {
    const made = await createInstalledGithub({ installation: { repositories: ['api', 'web'] } });
    const run = await regenerate(made, 'github', '--url', url);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toEqual({ 'acme/api': 'create confirmed', 'acme/web': 'create confirmed' });
    const secrets = ['acme/api', 'acme/web'].map((name) => only(made, name).secret);
    expect(new Set(secrets)).toEqual(new Set([await readSecret(made, 'github')]));
    const writes = made.github.requests.filter(({ path }) => path.endsWith('/hooks'));
    expect(new Set(writes.map(({ authorization }) => authorization?.tokenId?.split(':')[0]))).toEqual(
      new Set(['installation']),
    );
    const removed = await regenerate(made, 'github', '--remove');
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    expect(made.github.hooksOf('acme/api')).toEqual([]);
  });

  test('an organization: with the permission for it, else what is missing is named', async () => {
    const without = await createInstalledGithub();
    const refused = await regenerate(without, 'github', ...atAcme);
    expect(outcomesOf(refused)).toEqual({ acme: 'skip skipped' });
    expect(reasonsOf(refused)).toContain('organization_hooks');
    expect(without.github.hooksOf('acme')).toEqual([]);
    const permissions = { ...withHooks, organization_hooks: 'write' };
    const made = await createInstalledGithub({ app: { permissions } });
    const run = await regenerate(made, 'github', ...atAcme);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(only(made, 'acme').secret).toBe(await readSecret(made, 'github'));
  });

  test('unlink takes them away before it ends the last token', async () => {
    const made = await createInstalledGithub({ installation: { repositories: ['api', 'web'] } });
    await regenerate(made, 'github', '--url', url);
    const run = await made.sandbox.run(['unlink', '--yes', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect([made.github.hooksOf('acme/api'), made.github.hooksOf('acme/web')].flat()).toEqual([]);
    expect([...made.github.state.tokens.values()].filter(({ revoked }) => !revoked)).toEqual([]);
  });

  test('restricted, it touches the allowed repository alone', async () => {
    const made = await createInstalledGithub({ link: ['--repo', 'acme/api'] });
    const run = await regenerate(made, 'github', '--url', url);
    expect(outcomesOf(run)).toEqual({ 'acme/api': 'create confirmed' });
    const outside = await regenerate(made, 'github', '--url', url, '--repo', 'acme/web');
    expect(outside.exitCode).toBe(6);
    expect(made.github.hooksOf('acme/web')).toEqual([]);
  });
});

describe('--verify', () => {
  /** A receiver that answers every delivery so. */
  async function startReceiver(status: number) {
    const { base, seen } = await startServer((_request, response) => response.writeHead(status).end());
    return { url: `${base}/canary`, seen };
  }

  const kinds = [
    ['a token, at an organization', () => createLinkedGithub({ token: { scopes } }), atAcme.slice(2), 'acme'],
    ['a token, at a repository', () => createLinkedGithub(), ['--repo', 'acme/api'], 'acme/api'],
    ['an App, at a repository', () => createInstalledGithub(), ['--repo', 'acme/api'], 'acme/api'],
  ] as const;

  test.each(kinds)(
    'by %s: a delivery, signed with the new secret, is read back',
    async (_what, make, flags, place) => {
      const made: Place = await make();
      const receiver = await startReceiver(204);
      const run = await regenerate(made, 'github', '--url', receiver.url, ...flags, '--verify');
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(reasonsOf(run)).toContain('delivered');
      const secret = only(made, place).secret ?? '';
      for (const { headers, body } of receiver.seen) {
        const signature = createHmac('sha256', secret).update(body).digest('hex');
        expect(headers['x-hub-signature-256']).toBe(`sha256=${signature}`);
      }
      // The greeting and the one that was asked for.
      expect(receiver.seen.length).toBeGreaterThanOrEqual(2);
      expect(made.github.requests.some(({ path }) => path.endsWith('/deliveries'))).toBe(true);
    },
  );

  test('a receiver that refuses: exit 3, with what it answered; the hook is there', async () => {
    const made = await createLinkedGithub({ token: { scopes } });
    const receiver = await startReceiver(503);
    const run = await regenerate(made, 'github', '--url', receiver.url, ...atAcme.slice(2), '--verify');
    expect(run).toMatchObject({ exitCode: 3 });
    expect(reasonsOf(run)).toContain('the receiver answered 503');
    expect(run.stderr).toContain('Does the receiver know the new secret?');
    expect(run.stderr).not.toContain('--url URL');
    expect(only(made, 'acme').secret).toBe(await readSecret(made, 'github'));
  });

  test('a receiver that does not answer is not waited for after Ctrl-C', async () => {
    const made = await createLinkedGithub({ token: { scopes } });
    const receiver = await startServer(() => undefined);
    const looks = () => made.github.requests.filter(({ path }) => path.endsWith('/deliveries')).length;
    let stoppedAt = 0;
    const onStart = (child: RunningProcess): void =>
      // The looks that are left would take ten seconds more.
      void until(() => looks() > 3).then(() => {
        stoppedAt = performance.now();
        child.kill('SIGINT');
      });
    const flags = ['--json', '--allow-http', '--url', receiver.base, ...atAcme.slice(2), '--verify'];
    const run = await made.sandbox.run(['regenerate-webhooks', 'github', ...flags], { onStart });
    expect(run).toMatchObject({ exitCode: 130 });
    expect(performance.now() - stoppedAt).toBeLessThan(3_000);
    expect(only(made, 'acme').secret).toBe(await readSecret(made, 'github'));
  });
});
