import { createHmac, timingSafeEqual } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { GitlabHook } from '../simulators/gitlab/hook-state.ts';
import type { GitlabSimulatorOptions } from '../simulators/gitlab/server.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../simulators/webhook-receiver.ts';
import { readLinks, runForSecret } from '../support/ask-git.ts';
import { createLinkedGitlab, type LinkedGitlab } from '../support/linked-gitlab.ts';
import type { Run } from '../support/sandbox.ts';
import { outcomesOf, receiverUrl, regenerate, type WebhookDocument } from './webhooks-kit.ts';

const managed = ['acme/api', 'acme/platform/empty', 'acme/platform/tools/cli', 'ada/notes', 'ada/site'];

/** A receiver on this machine, and a link that may deliver to it. */
async function createReceived(
  gitlab: GitlabSimulatorOptions = {},
): Promise<LinkedGitlab & { readonly receiver: WebhookReceiver; readonly target: readonly string[] }> {
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  const linked = await createLinkedGitlab({ gitlab, link: ['--repo', 'acme/api'] });
  return { ...linked, receiver, target: ['--url', receiver.url, '--allow-http'] };
}

/** The secret that gitlink gives to the receiver. It is looked for in everything else. */
async function readSecret({ sandbox }: LinkedGitlab): Promise<string> {
  const run = await runForSecret(sandbox, process.execPath, [
    new URL('../../bin/gitlink.js', import.meta.url).pathname,
    'webhook-secret',
  ]);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return sandbox.guard(run.stdout.trimEnd());
}

function only({ gitlab }: LinkedGitlab, place: string): GitlabHook {
  const [hook, ...others] = gitlab.hooksOf(place);
  if (!hook || others.length > 0) throw new Error(`${place} has ${others.length + (hook ? 1 : 0)} hooks.`);
  return hook;
}

function toSigningToken(secret: string): string {
  return `whsec_${Buffer.from(secret, 'hex').toString('base64')}`;
}

/** Verifies a delivery as a receiver does by Standard Webhooks. */
function isSigned({ headers, body }: WebhookReceiver['received'][number], secret: string): boolean {
  const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  const expected = createHmac('sha256', Buffer.from(secret, 'hex')).update(content).digest('base64');
  const signatures = String(headers['webhook-signature']).split(' ');
  return signatures.some((signature) => {
    const given = Buffer.from(signature.replace(/^v1,/, ''));
    return given.length === expected.length && timingSafeEqual(given, Buffer.from(expected));
  });
}

function summaryOf(run: Run): Readonly<Record<string, number>> {
  return run.json<WebhookDocument>().summary;
}

describe('regenerate-webhooks at GitLab', () => {
  test('one hook in every repository that the account may manage, with one secret in both forms', async () => {
    const linked = await createLinkedGitlab();
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    for (const name of managed) {
      expect(only(linked, name), name).toMatchObject({
        url: receiverUrl,
        token: secret,
        signingToken: toSigningToken(secret),
        enableSslVerification: true,
      });
      expect([...only(linked, name).events].sort()).toEqual(['merge_requests_events', 'push_events']);
    }
    expect(linked.gitlab.hooksOf('others/tool')).toEqual([]);
    const { results } = run.json<WebhookDocument>();
    expect(results.find(({ repository }) => repository === 'others/tool')).toMatchObject({
      state: 'skipped',
    });
    linked.sandbox.guard(toSigningToken(secret));
  });

  test('a rotation changes the secret in place and keeps the address', async () => {
    const linked = await createLinkedGitlab({ link: ['--namespace', 'acme'] });
    expect(await regenerate(linked, ['--url', receiverUrl])).toMatchObject({ exitCode: 0 });
    const before = only(linked, 'acme/api').id;
    const first = await readSecret(linked);
    linked.gitlab.clearRequests();
    const run = await regenerate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const second = await readSecret(linked);
    expect(second).not.toBe(first);
    expect(only(linked, 'acme/api')).toMatchObject({
      id: before,
      url: receiverUrl,
      token: second,
      signingToken: toSigningToken(second),
    });
    const writes = linked.gitlab.requests.filter(({ method }) => method !== 'GET');
    expect(new Set(writes.map(({ method }) => method))).toEqual(new Set(['PUT']));
  });

  test('--verify: a real delivery, whose token and signature the receiver verifies with webhook-secret', async () => {
    const linked = await createReceived();
    const { receiver, target } = linked;
    const run = await regenerate(linked, [...target, '--verify']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toMatchObject({ 'acme/api': 'create confirmed' });
    expect(run.json<WebhookDocument>().results[0]?.reason).toBe('test delivered');
    const [delivery] = receiver.received;
    if (!delivery) throw new Error('Nothing was delivered.');
    const secret = await readSecret(linked);
    expect(delivery.headers).toMatchObject({ 'x-gitlab-event': 'Push Hook', 'x-gitlab-token': secret });
    expect(isSigned(delivery, secret)).toBe(true);
    expect(isSigned({ ...delivery, body: `${delivery.body} ` }, secret)).toBe(false);
  });

  test('--verify: a receiver that is away is reported for its repository', async () => {
    const linked = await createReceived();
    await linked.receiver.close();
    const run = await regenerate(linked, [...linked.target, '--verify']);
    const [result] = run.json<WebhookDocument>().results;
    expect(result).toMatchObject({ repository: 'acme/api', state: 'confirmed' });
    expect(result?.reason).toBe('test failed: the receiver did not answer');
    expect(run.stderr).not.toContain('Does the receiver know');
    expect(run.stderr).toContain('gitlink regenerate-webhooks gitlab --url URL');
    const again = 'gitlink regenerate-webhooks gitlab --repair --verify';
    expect(run.stderr).toContain(again);
    const repair = await linked.sandbox.run(again.split(' ').slice(1));
    expect(repair, repair.stderr).toMatchObject({ exitCode: 3 });
    expect(repair.stderr).toContain(again);
  });

  test('GitLab 17.11 has no signing tokens: the plain one travels', async () => {
    const linked = await createReceived({ version: '17.11.0-ee' });
    const run = await regenerate(linked, [...linked.target, '--verify']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    expect(only(linked, 'acme/api')).toMatchObject({ token: secret, signingToken: null });
    expect(linked.receiver.received[0]?.headers).toMatchObject({ 'x-gitlab-token': secret });
    expect(linked.receiver.received[0]?.headers['webhook-signature']).toBeUndefined();
  });

  test('422 "Invalid url given" is explained: where an administrator allows such addresses', async () => {
    const linked = await createReceived({ settings: { allowsLocalWebhooks: false } });
    const run = await regenerate(linked, linked.target);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    const [result] = run.json<WebhookDocument>().results;
    expect(result).toMatchObject({ repository: 'acme/api', state: 'failed' });
    expect(result?.reason).toContain('does not deliver to local or private addresses');
    expect(result?.reason).toContain('Outbound requests');
    expect(linked.gitlab.hooksOf('acme/api')).toEqual([]);
  });

  test('--repair wakes a disabled hook and mends a changed one, with the same secret', async () => {
    const linked = await createReceived();
    expect(await regenerate(linked, linked.target)).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    const hook = only(linked, 'acme/api');
    hook.disabledUntil = Infinity;
    hook.failures = 40;
    hook.events = new Set(['push_events']);
    const run = await regenerate(linked, ['--repair']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summaryOf(run)).toMatchObject({ repaired: 1, failed: 0 });
    expect(only(linked, 'acme/api')).toMatchObject({ id: hook.id, token: secret, failures: 0 });
    expect([...hook.events].sort()).toEqual(['merge_requests_events', 'push_events']);
    expect(await readSecret(linked)).toBe(secret);
    linked.gitlab.clearRequests();
    const again = await regenerate(linked, ['--repair']);
    expect(summaryOf(again)).toMatchObject({ unchanged: 1, repaired: 0 });
    expect(linked.gitlab.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  test('--repair cannot wake a hook whose receiver is away: exit 3, saying what it takes', async () => {
    const linked = await createReceived();
    expect(await regenerate(linked, linked.target)).toMatchObject({ exitCode: 0 });
    await linked.receiver.close();
    only(linked, 'acme/api').disabledUntil = Infinity;
    const run = await regenerate(linked, ['--repair']);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.json<WebhookDocument>().results[0]?.reason).toContain('only a test delivery');
  });

  test('--repair of a hook whose address somebody changed: GitLab forgot its secret, and gets it again', async () => {
    const linked = await createReceived();
    expect(await regenerate(linked, linked.target)).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    const hook = only(linked, 'acme/api');
    Object.assign(hook, { url: 'https://moved.acme.example/hook', token: null, signingToken: null });
    const run = await regenerate(linked, ['--repair']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(only(linked, 'acme/api')).toMatchObject({
      id: hook.id,
      url: linked.receiver.url,
      token: secret,
      signingToken: toSigningToken(secret),
    });
  });

  test('--repair makes a deleted hook again, with the same secret', async () => {
    const linked = await createReceived();
    expect(await regenerate(linked, linked.target)).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    linked.gitlab.state.hooks.clear();
    const run = await regenerate(linked, ['--repair']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(only(linked, 'acme/api')).toMatchObject({ token: secret, signingToken: toSigningToken(secret) });
  });

  test('--remove takes away what gitlink made, and nothing else', async () => {
    const linked = await createReceived();
    expect(await regenerate(linked, linked.target)).toMatchObject({ exitCode: 0 });
    const own = only(linked, 'acme/api');
    const foreign = { ...own, id: own.id + 500, url: 'https://else.acme.example/', name: null };
    linked.gitlab.state.hooks.get(`project ${projectIdOf(own)}`)?.push(foreign);
    expect(linked.gitlab.hooksOf('acme/api')).toHaveLength(2);
    const run = await regenerate(linked, ['--remove']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(linked.gitlab.hooksOf('acme/api')).toEqual([foreign]);
  });
});

describe('regenerate-webhooks --at namespace at GitLab', () => {
  const atAcme = ['--url', receiverUrl, '--at', 'namespace', '--namespace', 'acme'];

  test('one hook in the group, rotated in place', async () => {
    const linked = await createLinkedGitlab();
    const run = await regenerate(linked, atAcme);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    const { id } = only(linked, 'acme');
    expect(only(linked, 'acme')).toMatchObject({ token: secret, signingToken: toSigningToken(secret) });
    expect(linked.gitlab.hooksOf('acme/api')).toEqual([]);
    const again = await regenerate(linked, atAcme);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    expect(only(linked, 'acme')).toMatchObject({ id, url: receiverUrl, token: await readSecret(linked) });
    expect(only(linked, 'acme').token).not.toBe(secret);
  });

  test.each<[string, GitlabSimulatorOptions, readonly string[]]>([
    ['without Premium', { settings: { hasLicence: false } }, atAcme],
    ['in the community edition', { version: '19.6.0' }, atAcme],
    ['without the role Owner', {}, atAcme.map((word) => (word === 'acme' ? 'others' : word))],
  ])('%s the group is skipped, naming what it takes', async (_name, gitlab, args) => {
    const linked = await createLinkedGitlab({ gitlab });
    const run = await regenerate(linked, args);
    expect(summaryOf(run), run.stderr).toMatchObject({ created: 0, skipped: 1 });
    expect(run.json<WebhookDocument>().results[0]?.reason).toMatch(/Premium and the role Owner/);
  });

  test('a link that is restricted to a repository may not: exit 6', async () => {
    const linked = await createLinkedGitlab({ link: ['--repo', 'acme/api'] });
    const run = await regenerate(linked, atAcme);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(linked.gitlab.hooksOf('acme')).toEqual([]);
  });
});

describe('a token that is known to lack the scope of webhooks', () => {
  const target = ['--url', receiverUrl, '--repo', 'acme/api'];

  test('is refused before a secret is made, with what to type: exit 6', async () => {
    const linked = await createLinkedGitlab({ token: { scopes: ['read_api', 'read_repository'] } });
    const run = await regenerate(linked, target);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('"gitlab" lacks the scope api that webhooks need.');
    expect(run.stderr).toContain('gitlink relink gitlab --for clone,webhooks');
    expect(readLinks(linked.sandbox)).toMatchObject([{ webhook: null }]);
    expect(linked.gitlab.requests.filter(({ path }) => path.includes('hooks'))).toEqual([]);
    expect(await regenerate(linked, [...target, '--dry-run'])).toMatchObject({ exitCode: 0 });
  });

  test('is no fine-grained one, whose permissions GitLab does not tell', async () => {
    const granularScopes = [{ access: 'user', permissions: ['read_user'] }] as const;
    const linked = await createLinkedGitlab({ token: { kind: 'fineGrained', granularScopes } });
    const run = await regenerate(linked, target);
    expect(run.stderr).not.toContain('lacks the scope');
  });
});

function projectIdOf({ place }: GitlabHook): number {
  return place.level === 'project' ? place.project.id : 0;
}
