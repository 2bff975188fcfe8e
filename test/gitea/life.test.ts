import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { sendRequest } from '../simulators/send-request.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../simulators/webhook-receiver.ts';
import { findGitea, startRealGitea, type GiteaAccount, type RealGitea } from '../support/real-gitea.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

const place = findGitea();
if (place === null) {
  process.stderr.write(
    'Skipped: there is no real Gitea. Put one on PATH, or name it with GITEA_BIN, or a running one with GITEA_URL and GITEA_TOKEN.\n',
  );
}

/** With `write:user` a token can end itself on every Gitea; since 1.27 it could without. */
const scopes = ['read:user', 'read:organization', 'write:repository', 'write:user'];
const deliveryDeadlineMs = 30_000;

let gitea: RealGitea;

interface Life {
  readonly account: GiteaAccount;
  /** An organization with two repositories, `api` and `web`; a third, `site`, is the account's own. */
  readonly organization: string;
  readonly repositories: readonly [api: string, site: string, web: string];
  readonly sandbox: Sandbox;
  /** The token of the link. */
  readonly token: string;
  /** Runs gitlink and expects an exit code: 0 unless another is named. */
  readonly gitlink: (args: readonly string[], exitCode?: number) => Promise<Run>;
  readonly git: (args: readonly string[], cwd?: string) => Promise<Run>;
}

/** Makes an account at the server and links it as `gitea`. */
async function startLife(): Promise<Life> {
  const account = await gitea.createAccount();
  const organization = `acme-${randomBytes(4).toString('hex')}`;
  await account.createOrganization(organization);
  await account.createRepository(organization, 'api');
  await account.createRepository(account.login, 'site');
  await account.createRepository(organization, 'web');
  const sandbox = createSandbox();
  const gitlink: Life['gitlink'] = async (args, exitCode = 0) => {
    const result = await sandbox.run(args);
    expect(result, `gitlink ${args.join(' ')}`).toMatchObject({ exitCode });
    return result;
  };
  const git: Life['git'] = (args, cwd) => sandbox.runProgram('git', args, cwd === undefined ? {} : { cwd });
  const token = sandbox.guard(await account.createToken(scopes));
  const link = ['link', 'gitea', '--host', gitea.url, '--no-setup-git', '--allow-http'];
  await withTokenFile(sandbox, token, (file) => gitlink([...link, '--token-file', file]));
  const repositories = [`${organization}/api`, `${account.login}/site`, `${organization}/web`] as const;
  return { account, organization, repositories, sandbox, token, gitlink, git };
}

/** As a person would: the file is gone after its use. */
async function withTokenFile(sandbox: Sandbox, token: string, use: (file: string) => Promise<unknown>) {
  const file = join(sandbox.home, 'token.txt');
  writeFileSync(file, `${token}\n`);
  try {
    await use(file);
  } finally {
    rmSync(file);
  }
}

async function startReceiver(): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  return receiver;
}

type Delivery = WebhookReceiver['received'][number];

function isSignedWith({ headers, body }: Delivery, secret: string): boolean {
  return headers['x-gitea-signature'] === createHmac('sha256', secret).update(body).digest('hex');
}

/** Makes a commit in a clone and pushes it. @returns its id. */
async function pushCommit({ git }: Life, clone: string, fileName: string): Promise<string> {
  writeFileSync(join(clone, fileName), `${fileName}\n`);
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.invalid'];
  expect(await git(['add', '.'], clone)).toMatchObject({ exitCode: 0 });
  expect(await git([...identity, 'commit', '-m', fileName], clone)).toMatchObject({ exitCode: 0 });
  expect(await git(['push', 'origin', 'main'], clone)).toMatchObject({ exitCode: 0 });
  return (await git(['rev-parse', 'HEAD'], clone)).stdout.trim();
}

/** Waits for the delivery of one pushed commit. */
async function waitForPush(receiver: WebhookReceiver, commit: string): Promise<Delivery> {
  const find = () =>
    receiver.received.find(
      ({ headers, body }) =>
        headers['x-gitea-event'] === 'push' && (JSON.parse(body) as { after: string }).after === commit,
    );
  await expect.poll(find, { timeout: deliveryDeadlineMs }).toBeDefined();
  const delivery = find();
  if (!delivery) throw new Error('The delivery is gone.');
  return delivery;
}

/** The hooks of all repositories, as ids by repository. */
async function listHookIds({ account, repositories }: Life): Promise<Record<string, readonly number[]>> {
  const entries = repositories.map(async (fullName) => {
    const hooks = await account.listHooks(fullName);
    return [fullName, hooks.map(({ id }) => id)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

describe.skipIf(place === null)('a real Gitea', () => {
  beforeAll(async () => {
    if (place) gitea = await startRealGitea(place);
  });

  afterAll(async () => {
    await gitea.stop();
  });

  test('links an account by token; list --check, show and repos tell what the server has', async () => {
    const life = await startLife();
    const { account, gitlink, repositories } = life;

    const { links } = (await gitlink(['list', '--check', '--json'])).json<{ links: unknown[] }>();
    expect(links).toMatchObject([
      { name: 'gitea', host: gitea.url, account: { login: account.login }, status: 'ok' },
    ]);

    const { link } = (await gitlink(['show', '--json'])).json<{ link: { scopes: readonly string[] } }>();
    expect(link).toMatchObject({ flavour: 'gitea', method: 'token', storage: 'file', webhook: null });
    // The server leaves out what another scope includes.
    expect(link.scopes).toEqual(['read:organization', 'write:repository', 'write:user']);
    expect((await gitlink(['show'])).stdout).toContain(`provider\tgitea ${gitea.version}`);

    const listed = (await gitlink(['repos', '--json'])).json<{ repositories: { fullName: string }[] }>();
    expect(listed.repositories.map(({ fullName }) => fullName).sort()).toEqual([...repositories].sort());
    expect(listed.repositories[0]).toMatchObject({ private: true, canManageWebhooks: true });
  });

  test('a restriction limits repositories and webhooks, and takes the stranded ones away', async () => {
    const life = await startLife();
    const { gitlink, organization, repositories } = life;
    const [api, site, web] = repositories;
    const receiver = await startReceiver();
    await gitlink(['regenerate-webhooks', '--url', receiver.url, '--allow-http']);

    await gitlink(['restrict', 'gitea', organization, '--yes']);
    expect((await gitlink(['repos'])).stdout).not.toContain(site);
    expect(await listHookIds(life)).toMatchObject({
      [api]: [expect.any(Number)],
      [site]: [],
      [web]: [expect.any(Number)],
    });
    await gitlink(['regenerate-webhooks', '--repo', site], 6);
    await gitlink(['restrict', 'gitea', 'nowhere-at-all'], 5);
    await gitlink(['restrict', 'gitea', '--repo', api, '--yes']);
    expect((await gitlink(['repos'])).stdout.trim().split('\n')).toHaveLength(1);
  });

  test('webhooks: one per repository; a push is delivered and verifies, before and after a rotation', async () => {
    const life = await startLife();
    const { account, gitlink, git, sandbox, repositories } = life;
    const [api] = repositories;
    const receiver = await startReceiver();
    const regenerate = ['regenerate-webhooks', '--url', receiver.url, '--allow-http', '--json'];

    const first = (await gitlink([...regenerate, '--verify'])).json<{ summary: { created: number } }>();
    expect(first.summary.created).toBe(3);
    await expect.poll(() => receiver.received.length, { timeout: deliveryDeadlineMs }).toBe(3);
    const oldSecret = (await gitlink(['webhook-secret'])).stdout.trim();
    expect(receiver.received.every((delivery) => isSignedWith(delivery, oldSecret))).toBe(true);
    const hooks = await account.listHooks(api);
    expect(hooks).toMatchObject([{ active: true, config: { url: receiver.url } }]);
    const before = await listHookIds(life);

    await gitlink(['setup-git']);
    expect(await git(['clone', `${gitea.url}/${api}.git`, 'api'])).toMatchObject({ exitCode: 0 });
    const clone = join(sandbox.home, 'api');
    const firstPush = await waitForPush(receiver, await pushCommit(life, clone, 'first.txt'));
    expect(isSignedWith(firstPush, oldSecret)).toBe(true);

    const second = (await gitlink(regenerate)).json<{ summary: { rotated: number } }>();
    expect(second.summary.rotated).toBe(3);
    const newSecret = (await gitlink(['webhook-secret'])).stdout.trim();
    expect(newSecret).not.toBe(oldSecret);
    const after = await listHookIds(life);
    for (const fullName of repositories) {
      expect(after[fullName]).toHaveLength(1);
      expect(after[fullName]).not.toEqual(before[fullName]);
    }
    const secondPush = await waitForPush(receiver, await pushCommit(life, clone, 'second.txt'));
    expect(isSignedWith(secondPush, newSecret)).toBe(true);
    expect(isSignedWith(secondPush, oldSecret)).toBe(false);

    await gitlink(['regenerate-webhooks', '--repair']);
    expect(await listHookIds(life)).toEqual(after);
    await gitlink(['regenerate-webhooks', '--remove']);
    expect(Object.values(await listHookIds(life)).flat()).toEqual([]);
  });

  test('git clones and pushes through the helper, and gets nothing outside of the restriction', async () => {
    const life = await startLife();
    const { account, gitlink, git, organization, repositories, sandbox } = life;
    const [api, site] = repositories;
    expect((await git(['clone', `${gitea.url}/${api}.git`])).exitCode).not.toBe(0);

    await gitlink(['setup-git']);
    await gitlink(['restrict', 'gitea', organization]);
    expect(await git(['clone', `${gitea.url}/${api}.git`])).toMatchObject({ exitCode: 0 });
    const clone = join(sandbox.home, 'api');
    expect(readFileSync(join(clone, 'README.md'), 'utf8')).toContain('api');
    await pushCommit(life, clone, 'pushed.txt');
    expect(await account.readFile(api, 'pushed.txt')).toBe('pushed.txt\n');

    const refused = await git(['clone', `${gitea.url}/${site}.git`]);
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('is outside the restriction of "gitea"');
    expect(existsSync(join(sandbox.home, 'site'))).toBe(false);

    await gitlink(['setup-git', '--undo']);
    expect((await git(['fetch'], clone)).exitCode).not.toBe(0);
  });

  test('relink ends the old token, unlink --revoke the new one, and no hook is left', async () => {
    const life = await startLife();
    const { account, gitlink, sandbox, token: oldToken } = life;
    const receiver = await startReceiver();
    await gitlink(['regenerate-webhooks', '--url', receiver.url, '--allow-http']);
    const statusOf = async (token: string) =>
      (await sendRequest(`${gitea.url}/api/v1/user`, { authorization: `token ${token}` })).status;

    const newToken = sandbox.guard(await account.createToken(scopes));
    await withTokenFile(sandbox, newToken, (file) =>
      gitlink(['relink', '--token-file', file, '--revoke-old']),
    );
    expect([await statusOf(oldToken), await statusOf(newToken)]).toEqual([401, 200]);
    await gitlink(['list', '--check']);

    const run = await gitlink(['unlink', '--revoke', '--yes', '--json']);
    const { steps, remaining } = run.json<{
      steps: { what: string; state: string }[];
      remaining: unknown[];
    }>();
    expect(steps.filter(({ state }) => state !== 'done')).toEqual([]);
    expect(steps.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['webhook', 'revoke', 'proof', 'secret', 'record']),
    );
    expect(remaining).toEqual([]);
    expect(await statusOf(newToken)).toBe(401);
    expect(Object.values(await listHookIds(life)).flat()).toEqual([]);
    expect((await gitlink(['list'])).stdout).toBe('');
  });

  test('a token that may not end itself is named as left for the person, unless the server lets every token', async () => {
    const { account, gitlink, sandbox } = await startLife();
    const token = sandbox.guard(await account.createToken(scopes.filter((scope) => scope !== 'write:user')));
    await withTokenFile(sandbox, token, (file) => gitlink(['relink', '--token-file', file]));
    const { remaining } = (await gitlink(['unlink', '--revoke', '--yes', '--json'])).json<{
      remaining: unknown[];
    }>();
    const { status } = await sendRequest(`${gitea.url}/api/v1/user`, { authorization: `token ${token}` });
    expect(remaining).toHaveLength(status === 401 ? 0 : 1);
  });

  test('a wrong token is exit 4 at the real server, too', async () => {
    const sandbox = createSandbox();
    const link = ['link', 'gitea', '--host', gitea.url, '--with-token', '--allow-http'];
    const run = await sandbox.run(link, { input: sandbox.guard(`${'f'.repeat(32)}0badf00d`) });
    expect(run).toMatchObject({ exitCode: 4 });
  });
});
