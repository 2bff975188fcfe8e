import { createHmac } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startWebhookReceiver } from '../simulators/webhook-receiver.ts';
import { readLinks, runForSecret } from '../support/ask-git.ts';
import {
  accessScopes,
  apiScopes,
  createLinkedBitbucket,
  type LinkedBitbucket,
} from '../support/linked-bitbucket.ts';
import { hurry } from './refresh-kit.ts';
import { outcomesOf, receiverUrl, regenerate, type WebhookDocument } from './webhooks-kit.ts';

/** What ada administers. */
const managed = ['acme/api', 'acme/empty', 'acme/gateway', 'acme/old', 'acme/site', 'ada/notes', 'ada/site'];

/** The secret that gitlink gives to the receiver, looked for in everything else. */
async function readSecret({ sandbox }: LinkedBitbucket): Promise<string> {
  const bin = new URL('../../bin/gitlink.js', import.meta.url).pathname;
  const run = await runForSecret(sandbox, process.execPath, [bin, 'webhook-secret']);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return sandbox.guard(run.stdout.trimEnd());
}

const limitText = 'Rate limit for this resource has been exceeded';
const hooksPath = /\/hooks/;

describe('regenerate-webhooks at Bitbucket Cloud', () => {
  test('one hook in every repository that the account administers, with one secret, and none elsewhere', async () => {
    const linked = await createLinkedBitbucket();
    const { bitbucket } = linked;
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const outcomes = outcomesOf(run);
    const secret = await readSecret(linked);
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    for (const name of managed) {
      expect([name, outcomes[name]]).toEqual([name, 'create confirmed']);
      expect([name, bitbucket.hooksOf(name)]).toMatchObject([
        name,
        [{ url: receiverUrl, description: 'gitlink', active: true, secret }],
      ]);
    }
    for (const name of ['others/tool', 'others/pen', 'others/public']) {
      expect([name, bitbucket.hooksOf(name)]).toEqual([name, []]);
    }
    expect(bitbucket.hooksOf('acme/api')[0]?.events).toEqual([
      'repo:push',
      'pullrequest:created',
      'pullrequest:updated',
      'pullrequest:fulfilled',
      'pullrequest:rejected',
    ]);
    // No ping and no delivery is asked of an API that has none, and no list that was removed.
    expect(bitbucket.requests.filter(({ status }) => status === 410)).toEqual([]);
  });

  test('again: the same hooks with a new secret; --repair changes nothing; --remove takes them away', async () => {
    const linked = await createLinkedBitbucket({ link: ['--namespace', 'acme/API'] });
    const { bitbucket } = linked;
    expect(await regenerate(linked, ['--url', receiverUrl])).toMatchObject({ exitCode: 0 });
    const [hook] = bitbucket.hooksOf('acme/api');
    const [uuid, before] = [hook?.uuid, await readSecret(linked)];
    expect(bitbucket.hooksOf('acme/site')).toEqual([]);
    const run = await regenerate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toEqual({ 'acme/api': 'rotate confirmed', 'acme/gateway': 'rotate confirmed' });
    const after = await readSecret(linked);
    expect(after).not.toBe(before);
    expect(bitbucket.hooksOf('acme/api')).toMatchObject([{ uuid, secret: after }]);
    bitbucket.clearRequests();
    expect(await regenerate(linked, ['--repair'])).toMatchObject({ exitCode: 0 });
    expect(bitbucket.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
    const removed = await regenerate(linked, ['--remove']);
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    expect(bitbucket.hooksOf('acme/api')).toEqual([]);
  });

  test('a receiver gets what is signed with that secret', async () => {
    const receiver = await startWebhookReceiver();
    onTestFinished(() => receiver.close());
    const linked = await createLinkedBitbucket({ link: ['--repo', 'acme/api', '--setup-git'] });
    const run = await regenerate(linked, ['--url', receiver.url, '--allow-http']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    const { sandbox, bitbucket } = linked;
    const git = (...args: string[]) =>
      sandbox.runProgram('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test', ...args]);
    expect(await git('clone', '--quiet', `${bitbucket.url}/acme/api.git`, 'api')).toMatchObject({
      exitCode: 0,
    });
    expect(await git('-C', 'api', 'commit', '--quiet', '--allow-empty', '-m', 'x')).toMatchObject({
      exitCode: 0,
    });
    expect(await git('-C', 'api', 'push', '--quiet')).toMatchObject({ exitCode: 0 });
    await bitbucket.settle();
    const [delivery] = receiver.received;
    expect(delivery?.headers['x-event-key']).toBe('repo:push');
    const expected = createHmac('sha256', secret)
      .update(delivery?.body ?? '')
      .digest('hex');
    expect(delivery?.headers['x-hub-signature']).toBe(`sha256=${expected}`);
  });

  test('fact 9: --at namespace: one hook of a workspace in the place of all those of its repositories', async () => {
    const linked = await createLinkedBitbucket({ link: ['--namespace', 'acme'] });
    const { bitbucket } = linked;
    const run = await regenerate(linked, ['--url', receiverUrl, '--at', 'namespace', '--namespace', 'acme']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toEqual({ acme: 'create confirmed' });
    expect(bitbucket.hooksOf('acme')).toMatchObject([{ url: receiverUrl, secret: await readSecret(linked) }]);
    expect(bitbucket.hooksOf('acme/api')).toEqual([]);
    const unlinked = await linked.sandbox.run(['unlink', '--yes', '--json']);
    expect(unlinked, unlinked.stderr).toMatchObject({ exitCode: 0 });
    expect(bitbucket.hooksOf('acme')).toEqual([]);
  });

  test('--at namespace without a name: the workspaces, and never one of their projects', async () => {
    const linked = await createLinkedBitbucket();
    const run = await regenerate(linked, ['--url', receiverUrl, '--at', 'namespace']);
    const outcomes = outcomesOf(run);
    expect(outcomes['acme']).toBe('create confirmed');
    expect(Object.keys(outcomes).filter((name) => name.includes('/'))).toEqual([]);
    // Ada is no administrator there, and the others are done all the same.
    expect(outcomes['others']).toMatch(/skip|failed/);
    expect(linked.bitbucket.hooksOf('others')).toEqual([]);
  });

  test('--at namespace for a link that is limited to a project: refused, or said to be impossible', async () => {
    const linked = await createLinkedBitbucket({ link: ['--namespace', 'acme/API'] });
    const flags = ['--url', receiverUrl, '--at', 'namespace', '--namespace'];
    // It would reach further than the link may.
    expect(await regenerate(linked, [...flags, 'acme'])).toMatchObject({ exitCode: 6 });
    const run = await regenerate(linked, [...flags, 'acme/API']);
    expect(outcomesOf(run)).toEqual({ 'acme/API': 'skip skipped' });
    expect(run.stdout).toContain('none of projects');
    expect(linked.bitbucket.hooksOf('acme')).toEqual([]);
    expect(linked.bitbucket.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  test.each([
    ['repository', 'acme/api', '--repo', ['acme/api']],
    ['project', 'acme/API', '--namespace', ['acme/api', 'acme/gateway']],
  ] as const)(
    'fact 7: the access token of a %s, where it is at home',
    async (kind, resource, flag, names) => {
      const linked = await createLinkedBitbucket({
        token: { kind, resource, scopes: accessScopes },
        link: [flag, resource],
      });
      const run = await regenerate(linked, ['--url', receiverUrl]);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(outcomesOf(run)).toEqual(Object.fromEntries(names.map((name) => [name, 'create confirmed'])));
    },
  );

  test('a token without the scope: nothing is made, the scope is named, and the link stays good', async () => {
    const scopes = apiScopes.filter((scope) => !scope.includes('webhook'));
    const linked = await createLinkedBitbucket({
      token: { kind: 'api', scopes },
      link: ['--repo', 'acme/api'],
    });
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(`${run.stdout}${run.stderr}`).toMatch(/scope/);
    expect(linked.bitbucket.hooksOf('acme/api')).toEqual([]);
    expect(readLinks(linked.sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test('an address that Bitbucket does not take: exit 3 in its words', async () => {
    const linked = await createLinkedBitbucket({
      bitbucket: { settings: { allowsLoopback: false } },
      link: ['--repo', 'acme/api'],
    });
    const run = await regenerate(linked, ['--url', 'http://127.0.0.1:9/hook', '--allow-http']);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    const [result] = run.json<WebhookDocument>().results;
    expect(result).toMatchObject({ repository: 'acme/api', state: 'failed' });
    expect(result?.reason).toMatch(/url/i);
  });
});

describe('fact 9: the count of calls at Bitbucket Cloud', () => {
  test('used up in the middle, and back soon: waited for, and every repository is done', async () => {
    const linked = await createLinkedBitbucket({ link: ['--repo', 'acme/api'] });
    const answer = { status: 429, text: limitText };
    linked.bitbucket.faults.add({ fault: { kind: 'answer', answer }, path: hooksPath, times: 1 });
    const run = await regenerate(linked, ['--url', receiverUrl], { env: hurry(linked.sandbox) });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toEqual({ 'acme/api': 'create confirmed' });
    expect(linked.bitbucket.hooksOf('acme/api')).toHaveLength(1);
    expect(linked.bitbucket.requests.map(({ status }) => status)).toContain(429);
  });

  test('used up for the hour, in plain text: exit 7 as a rate limit, and the link stays good', async () => {
    const linked = await createLinkedBitbucket();
    const { bitbucket, sandbox } = linked;
    const limits = bitbucket.settings.limits;
    limits.api = { requests: 0, windowMs: 3_600_000 };
    const run = await sandbox.run(['repos', '--namespace', 'acme', '--json'], { env: hurry(linked.sandbox) });
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    expect(run.json()).toMatchObject({ error: { code: 'rateLimited' } });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
    // Fixed short pauses make it worse: few calls, further and further apart.
    const refused = bitbucket.requests.filter(({ status }) => status === 429);
    expect(refused.length).toBeLessThan(20);
  });

  test('used up in the middle of many: what was done stays done, and the next run finishes it', async () => {
    const linked = await createLinkedBitbucket();
    const { bitbucket } = linked;
    const { webhook } = bitbucket.settings.limits;
    bitbucket.settings.limits.webhook = { requests: 9, windowMs: 3_600_000 };
    const run = await regenerate(linked, ['--url', receiverUrl], { env: hurry(linked.sandbox) });
    expect([3, 7]).toContain(run.exitCode);
    const made = managed.filter((name) => bitbucket.hooksOf(name).length > 0);
    expect(made.length).toBeLessThan(managed.length);
    bitbucket.settings.limits.webhook = webhook;
    const again = await regenerate(linked);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    for (const name of managed) expect([name, bitbucket.hooksOf(name)]).toMatchObject([name, [{ secret }]]);
  });
});
