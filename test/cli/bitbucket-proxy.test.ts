import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { BitbucketSimulator } from '../simulators/bitbucket/server.ts';
import { askHelper, toRequest } from '../support/ask-git.ts';
import { visit } from '../support/browser.ts';
import { createCertificateAuthority } from '../support/certificate-authority.ts';
import {
  adaEmail,
  accessScopes,
  apiScopes,
  findFreePort,
  guardAll,
  startBitbucket,
} from '../support/linked-bitbucket.ts';
import { startProxyServer, type ProxyServer } from '../support/proxy-server.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';

interface Behind {
  readonly sandbox: Sandbox;
  readonly bitbucket: BitbucketSimulator;
  readonly proxy: ProxyServer;
  readonly env: Readonly<Record<string, string>>;
  /** The certificate of whom the hosts' are from. */
  readonly authority: string;
}

/** A simulated Bitbucket under its real names, which only a proxy knows the way to. */
async function createBehindProxy(): Promise<Behind> {
  const authority = createCertificateAuthority('gitlink test authority');
  const bitbucket = await startBitbucket({
    rootUrl: 'https://bitbucket.org',
    apiRootUrl: 'https://api.bitbucket.org',
    tls: authority.issue({ names: ['bitbucket.org', 'api.bitbucket.org', '127.0.0.1'] }),
  });
  const place = { port: bitbucket.port };
  const proxy = await startProxyServer({
    hosts: { 'bitbucket.org:443': place, 'api.bitbucket.org:443': place },
  });
  onTestFinished(() => proxy.close());
  const sandbox = guardAll(createSandbox(), bitbucket);
  const file = join(sandbox.home, 'authority.pem');
  writeFileSync(file, authority.certificate);
  const env = { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: file };
  return { sandbox, bitbucket, proxy, env, authority: authority.certificate };
}

function listTargets({ proxy }: Behind): readonly string[] {
  return [...new Set(proxy.requests.map(({ target }) => target))].sort();
}

/** No host but the two was asked for, and none of the requests was strange. */
function expectOnly(behind: Behind, ...targets: string[]): void {
  expect(listTargets(behind)).toEqual(targets);
  expect(behind.proxy.requests.every(({ status }) => status === 200)).toBe(true);
}

describe('bitbucket.org and api.bitbucket.org behind a proxy', () => {
  test('one life of a link: link, repos, git, webhooks, unlink, without naming a host', async () => {
    const behind = await createBehindProxy();
    const { sandbox, bitbucket, env } = behind;
    const token = bitbucket.addToken({ kind: 'api', scopes: apiScopes });
    const args = ['link', 'bitbucket', '--with-token', '--email', adaEmail, '--json'];
    const linked = await sandbox.run(args, { input: token.secret, env });
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
    expect(linked.json()).toMatchObject({
      link: { name: 'bitbucket', host: 'https://bitbucket.org', account: { login: 'ada' } },
    });
    // The name says it all: nothing is asked of the web part.
    expectOnly(behind, 'api.bitbucket.org:443');
    const repos = await sandbox.run(['repos', '--json'], { env });
    expect(repos, repos.stderr).toMatchObject({ exitCode: 0 });
    expect(repos.json()).toMatchObject({
      repositories: expect.arrayContaining([
        expect.objectContaining({ fullName: 'acme/api', cloneUrl: 'https://bitbucket.org/acme/api.git' }),
      ]) as unknown,
    });
    const question = toRequest('https://bitbucket.org/acme/api.git');
    const git = await askHelper(sandbox, 'git-credential-gitlink', 'get', question);
    expect(git.stdout).toContain(`username=x-bitbucket-api-token-auth\npassword=${token.secret}\n`);
    const target = ['--url', 'https://ci.acme.example/hook', '--repo', 'acme/api'];
    const hooks = await sandbox.run(['regenerate-webhooks', ...target], { env });
    expect(hooks, hooks.stderr).toMatchObject({ exitCode: 0 });
    const unlinked = await sandbox.run(['unlink', '--revoke', '--yes', '--json'], { env });
    expect(unlinked, unlinked.stderr).toMatchObject({ exitCode: 0 });
    expect(unlinked.json()).toMatchObject({
      remaining: [{ url: 'https://id.atlassian.com/manage-profile/security/api-tokens' }],
    });
    expect(bitbucket.hooksOf('acme/api')).toEqual([]);
    expectOnly(behind, 'api.bitbucket.org:443');
  });

  test('signing in: the token endpoint is at the one host, the API at the other', async () => {
    const behind = await createBehindProxy();
    const { sandbox, bitbucket, env } = behind;
    const callbackPort = await findFreePort();
    const { key, secret } = bitbucket.oauth.addApplication({ callbackPort });
    const port = ['--callback-port', String(callbackPort)];
    const client = ['client', 'add', 'bitbucket', '--client-id', key, '--with-secret', ...port];
    expect(await sandbox.run(client, { input: secret, env })).toMatchObject({ exitCode: 0 });
    bitbucket.oauth.person.consent = 'approve';
    let comingBack: Promise<unknown> = Promise.resolve();
    const run = await sandbox.run(['link', 'bitbucket', '--no-browser', '--timeout', '20', '--json'], {
      env,
      onStart: (child) => {
        comingBack = child.waitForTalk('comes back to port').then(async (talk) => {
          const [address = ''] = /https:\/\/bitbucket\.org\/\S+/.exec(talk) ?? [];
          return visit(await approve(behind, new URL(address)));
        });
      },
    });
    await comingBack;
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { method: 'oauth', host: 'https://bitbucket.org' } });
    bitbucket.oauth.endAccessTokens();
    const repos = await sandbox.run(['repos'], { env });
    expect(repos, repos.stderr).toMatchObject({ exitCode: 0 });
    expect(bitbucket.oauth.countExchanges('refresh_token')).toBe(1);
    expectOnly(behind, 'api.bitbucket.org:443', 'bitbucket.org:443');
  });

  test('an access token of a workspace, and a proxy that is away: exit 7, and the link stays good', async () => {
    const behind = await createBehindProxy();
    const { sandbox, bitbucket, env, proxy } = behind;
    const { secret } = bitbucket.addToken({ kind: 'workspace', resource: 'acme', scopes: accessScopes });
    const args = ['link', 'bitbucket', '--with-token', '--namespace', 'acme'];
    expect(await sandbox.run(args, { input: secret, env })).toMatchObject({ exitCode: 0 });
    await proxy.close();
    const run = await sandbox.run(['repos', '--json'], { env });
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    const listed = await sandbox.run(['list', '--json']);
    expect(listed.json()).toMatchObject({ links: [{ status: 'ok' }] });
  });
});

/**
 * Asks the simulator as a browser does that reaches it under its real name.
 *
 * @returns where it sends one.
 */
function approve({ bitbucket, authority }: Behind, { pathname, search }: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: bitbucket.port,
        path: pathname + search,
        servername: 'bitbucket.org',
        headers: { host: 'bitbucket.org' },
        ca: authority,
      },
      (response) => {
        response.resume();
        resolve(response.headers.location ?? '');
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}
