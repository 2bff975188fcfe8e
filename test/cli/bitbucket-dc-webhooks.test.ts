import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startWebhookReceiver } from '../simulators/webhook-receiver.ts';
import { readLinks, runForSecret } from '../support/ask-git.ts';
import { createLinkedDc, type LinkedDc, type LinkedDcOptions } from '../support/linked-bitbucket.ts';
import { outcomesOf, receiverUrl, regenerate, type WebhookDocument } from './webhooks-kit.ts';

const managed = ['ACME/api', 'ACME/empty', 'WEB/tools', '~ada/notes'];

/** The secret that gitlink gives to the receiver, looked for in everything else. */
async function readSecret({ sandbox }: LinkedDc): Promise<string> {
  const bin = new URL('../../bin/gitlink.js', import.meta.url).pathname;
  const run = await runForSecret(sandbox, process.execPath, [bin, 'webhook-secret']);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return sandbox.guard(run.stdout.trimEnd());
}

/** A receiver on this machine that answers with a status, and a link that may deliver there. */
async function createReceived(status: number, link: readonly string[] = ['--repo', 'ACME/api']) {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const linked = await createLinkedDc({ link });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return { ...linked, url, target: ['--url', url, '--allow-http'] };
}

describe('fact 9: regenerate-webhooks at Data Center', () => {
  test('one hook in every repository that may be managed, its events and secret, and none elsewhere', async () => {
    const linked = await createLinkedDc();
    const { bitbucket, sandbox } = linked;
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const outcomes = outcomesOf(run);
    for (const name of managed) {
      expect([name, outcomes[name]]).toEqual([name, 'create confirmed']);
      expect(bitbucket.hooksOf(name)).toHaveLength(1);
    }
    // Archived, and one that ada may only write to.
    expect(outcomes['ACME/old']).toBe('skip skipped');
    for (const name of ['ACME/old', 'WEB/shop']) expect(bitbucket.hooksOf(name)).toEqual([]);
    expect(bitbucket.hooksOf('ACME')).toEqual([]);
    const secret = await readSecret(linked);
    const [hook] = bitbucket.hooksOf('ACME/api');
    expect(hook?.settings).toMatchObject({
      name: 'gitlink',
      url: receiverUrl,
      active: true,
      configuration: { secret },
    });
    expect(hook?.settings.events).toEqual(
      expect.arrayContaining(['repo:refs_changed', 'pr:opened', 'pr:merged']),
    );
    // Rotated in place: the same hooks, a new secret.
    const again = await regenerate(linked);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    const next = await readSecret(linked);
    expect(next).not.toBe(secret);
    const [after, ...others] = bitbucket.hooksOf('ACME/api');
    expect(others).toEqual([]);
    expect(after).toMatchObject({ id: hook?.id, settings: { configuration: { secret: next } } });
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('--at namespace: one hook for a project; the repositories have none of their own', async () => {
    const linked = await createLinkedDc({ token: { kind: 'project', resource: 'ACME' } });
    const run = await regenerate(linked, ['--url', receiverUrl, '--at', 'namespace']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toEqual({ ACME: 'create confirmed' });
    expect(linked.bitbucket.hooksOf('ACME')).toHaveLength(1);
    expect(linked.bitbucket.hooksOf('ACME/api')).toEqual([]);
    const unlinked = await linked.sandbox.run(['unlink', '--yes', '--json']);
    expect(unlinked, unlinked.stderr).toMatchObject({ exitCode: 0 });
    expect(linked.bitbucket.hooksOf('ACME')).toEqual([]);
  });

  test('before 8.8 projects have none: said, and nothing is made', async () => {
    const linked = await createLinkedDc({ bitbucket: { version: '8.7.0' } });
    const flags = ['--url', receiverUrl, '--at', 'namespace', '--namespace', 'ACME'];
    const run = await regenerate(linked, flags);
    expect(run.json<WebhookDocument>().summary['created'] ?? 0).toBe(0);
    expect(run.stdout).toContain('came with 8.8');
    expect(linked.bitbucket.requests.filter(({ method }) => method === 'POST')).toEqual([]);
  });

  test('a project that keeps its settings: that repository is told, the others are done', async () => {
    const world: LinkedDcOptions['bitbucket'] = {
      world: {
        users: [{ name: 'ada' }],
        projects: [{ key: 'LOCKED', restrictsSettings: true }, { key: '~ada' }],
        repositories: [{ path: 'LOCKED/api', members: { ada: 'admin' } }, { path: '~ada/notes' }],
      },
    };
    const linked = await createLinkedDc({ bitbucket: world });
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(outcomesOf(run)['~ada/notes']).toBe('create confirmed');
    const result = run.json<WebhookDocument>().results.find(({ repository }) => repository === 'LOCKED/api');
    expect(result?.state).not.toBe('confirmed');
    expect(result?.reason).toMatch(/restricted/);
    expect(readLinks(linked.sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test('a hook of somebody else at the same address keeps its name and is adopted as the plan says', async () => {
    const linked = await createLinkedDc({ link: ['--repo', 'ACME/api'] });
    expect(await regenerate(linked, ['--url', receiverUrl])).toMatchObject({ exitCode: 0 });
    const [hook] = linked.bitbucket.hooksOf('ACME/api');
    const plan = await regenerate(linked, ['--dry-run']);
    expect(plan, plan.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(plan)).toEqual({ 'ACME/api': 'rotate planned' });
    expect(linked.bitbucket.hooksOf('ACME/api')).toMatchObject([{ id: hook?.id }]);
  });
});

describe('fact 9: regenerate-webhooks --verify at Data Center', () => {
  test('a test is sent by each hook with its secret, and what it met is read back', async () => {
    const receiver = await startWebhookReceiver();
    onTestFinished(() => receiver.close());
    const linked = await createLinkedDc({ link: ['--repo', 'ACME/api'] });
    const run = await regenerate(linked, ['--url', receiver.url, '--allow-http', '--verify']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    await linked.bitbucket.settle();
    expect(receiver.received).toHaveLength(1);
    expect(receiver.received[0]?.headers['x-event-key']).toBe('diagnostics:ping');
    expect(receiver.received[0]?.headers['x-hub-signature']).toMatch(/^sha256=/);
    const { requests } = linked.bitbucket;
    expect(requests.filter(({ path }) => path.endsWith('/webhooks/test'))).toHaveLength(1);
    expect(run.stdout + run.stderr).toMatch(/deliver/);
  });

  test.each([500, 404])('a receiver that answers %i: exit 3 with what it answered', async (status) => {
    const linked = await createReceived(status);
    const run = await regenerate(linked, [...linked.target, '--verify']);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.stdout).toContain(`the receiver answered ${status}`);
  });

  test('a receiver that is not there: exit 3, by the last delivery', async () => {
    const linked = await createLinkedDc({ link: ['--repo', 'ACME/api'] });
    const run = await regenerate(linked, ['--url', 'http://127.0.0.1:9/hook', '--allow-http', '--verify']);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.stdout).toContain('the receiver did not answer');
    const latest = linked.bitbucket.requests.filter(({ path }) => path.endsWith('/latest'));
    expect(latest).toMatchObject([{ query: { event: 'diagnostics:ping' } }]);
  });
});
