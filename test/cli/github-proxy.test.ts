import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { askHelper, readLinks, toRequest } from '../support/ask-git.ts';
import { createCertificateAuthority } from '../support/certificate-authority.ts';
import { createGithubSandbox, startGithub, writeKey } from '../support/linked-github.ts';
import { startProxyServer, type ProxyServer } from '../support/proxy-server.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';

/** github.com, and a tenant of ghe.com, which is the same service under names of its own. */
const places = [
  {
    host: 'https://github.com',
    web: 'github.com',
    api: 'api.github.com',
    flavour: 'github.com',
    hostFlags: [],
  },
  {
    host: 'https://acme.ghe.com',
    web: 'acme.ghe.com',
    api: 'api.acme.ghe.com',
    flavour: 'tenant',
    hostFlags: ['--host', 'acme.ghe.com'],
  },
] as const;
type Place = (typeof places)[number];

interface Behind {
  readonly place: Place;
  readonly sandbox: Sandbox;
  readonly github: GithubSimulator;
  readonly proxy: ProxyServer;
  readonly env: Readonly<Record<string, string>>;
}

/** A simulated GitHub under its real names, which only a proxy knows the way to. */
async function createBehindProxy(place: Place): Promise<Behind> {
  const authority = createCertificateAuthority('gitlink test authority');
  const github = await startGithub({
    flavour: place.flavour,
    rootUrl: `https://${place.web}`,
    apiRootUrl: `https://${place.api}`,
    tls: authority.issue({ names: [place.web, place.api, '127.0.0.1'] }),
  });
  const port = { port: github.port };
  const proxy = await startProxyServer({ hosts: { [`${place.web}:443`]: port, [`${place.api}:443`]: port } });
  onTestFinished(() => proxy.close());
  const sandbox = createGithubSandbox(github);
  const file = join(sandbox.home, 'authority.pem');
  writeFileSync(file, authority.certificate);
  const env = { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: file, GIT_SSL_CAINFO: file };
  return { place, sandbox, github, proxy, env };
}

/**
 * No host but these was asked for. The simulator itself fails what is sent to the one and meant for the other; here,
 * that no credential of the API reached the web's part but git's own.
 */
function expectOnly({ proxy, github }: Behind, ...hosts: readonly string[]): void {
  const targets = [...new Set(proxy.requests.map(({ target }) => target))].sort();
  expect(targets).toEqual(hosts.map((host) => `${host}:443`).sort());
  expect(proxy.requests.every(({ status }) => status === 200)).toBe(true);
  const elsewhere = github.requests.filter(
    ({ headers, authorization }) => authorization !== null && !hosts.includes(headers['host'] ?? ''),
  );
  expect(elsewhere).toEqual([]);
}

async function run({ sandbox, env }: Behind, args: readonly string[], input = ''): Promise<Run> {
  const ended = await sandbox.run(args, { env, input });
  expect(ended, ended.stderr).toMatchObject({ exitCode: 0 });
  return ended;
}

async function clone({ sandbox, env, place }: Behind, fullName: string, folder: string): Promise<void> {
  const git = await sandbox.runProgram('git', ['clone', '--quiet', `${place.host}/${fullName}.git`, folder], {
    env,
  });
  expect(git, git.stderr).toMatchObject({ exitCode: 0 });
  expect(existsSync(join(sandbox.home, folder, 'README.md'))).toBe(true);
}

describe.each(places)('$host behind a proxy', (place) => {
  test('a pasted token: link, repos, clone, webhooks, and its end by /credentials/revoke', async () => {
    const behind = await createBehindProxy(place);
    const { sandbox, github } = behind;
    const token = github.addToken();
    const args = ['link', 'github', ...place.hostFlags, '--with-token', '--json', '--setup-git'];
    const linked = await run(behind, args, token.secret);
    expect(linked.json()).toMatchObject({
      link: { name: 'github', host: place.host, flavour: 'github', account: { login: 'ada' }, status: 'ok' },
    });
    // The name says it all: nothing is asked of the web part.
    expectOnly(behind, place.api);
    const repos = await run(behind, ['repos', '--json']);
    expect(repos.json()).toMatchObject({
      repositories: expect.arrayContaining([
        expect.objectContaining({ fullName: 'acme/api', cloneUrl: `${place.host}/acme/api.git` }),
      ]) as unknown,
    });
    await clone(behind, 'acme/api', 'api');
    const hooks = ['regenerate-webhooks', '--url', 'https://ci.acme.example/hook', '--json'];
    await run(behind, [...hooks, '--repo', 'acme/api', '--repo', 'acme/web']);
    // §9.2: changes are a second apart.
    const [first, second] = ['acme/api', 'acme/web'].map(
      (name) => github.hooksOf(name)[0]?.createdAt.getTime() ?? 0,
    );
    expect(Math.abs((second ?? 0) - (first ?? 0))).toBeGreaterThanOrEqual(950);
    github.clearRequests();
    const unlinked = await run(behind, ['unlink', '--revoke', '--yes', '--json']);
    expect(unlinked.json()).toMatchObject({ remaining: [] });
    expect([...github.hooksOf('acme/api'), ...github.hooksOf('acme/web')]).toEqual([]);
    expect(token.revoked).toBe(true);
    const reports = github.requests.filter(({ path }) => path === '/credentials/revoke');
    expect(reports.map(({ authorization, headers }) => [authorization, headers['host']])).toEqual([
      [null, place.api],
    ]);
    expectOnly(behind, place.api, place.web);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('an App by id, key and installation: long tokens, each good for one repository', async () => {
    const behind = await createBehindProxy(place);
    const { sandbox, github, env } = behind;
    const { app, pem } = github.addApp({ owner: 'acme' });
    const installation = github.install(app, { account: 'acme' });
    const named = ['--app-id', String(app.id), '--app-key-file', writeKey(sandbox, pem)];
    const args = ['link', 'github', ...place.hostFlags, ...named, '--installation', String(installation.id)];
    const linked = await run(behind, [...args, '--json', '--setup-git']);
    expect(linked.json()).toMatchObject({
      link: { method: 'app', host: place.host, account: { login: 'acme' } },
    });
    expectOnly(behind, place.api);
    await clone(behind, 'acme/api', 'api');
    const question = toRequest(`${place.host}/acme/api.git`);
    const answer = await askHelper(sandbox, 'git-credential-gitlink', 'get', question, { env });
    const [, password = ''] = /^password=(.*)$/m.exec(answer.stdout) ?? [];
    // §0 no. 1: an App's number, then a JWT.
    expect(password).toMatch(new RegExp(`^ghs_${app.id}_[\\w-]+\\.[\\w-]+\\.[\\w-]+$`));
    expect(password.length).toBeGreaterThan(450);
    expect([...(github.state.tokens.get(password)?.repositories ?? [])]).toEqual([
      github.state.findRepository('acme/api')?.id,
    ]);
    await run(behind, ['list', '--check']);
    await run(behind, ['unlink', '--yes']);
    expect([...github.state.tokens.values()].filter(({ revoked }) => !revoked)).toEqual([]);
    expectOnly(behind, place.api, place.web);
  });
});

describe('github.com', () => {
  test('signing in by a code: the code is asked for at the web, everything else at the API', async () => {
    const [place] = places;
    const behind = await createBehindProxy(place);
    const { sandbox, github, env } = behind;
    github.settings.deviceIntervalS = 1;
    const { clientId } = github.oauth.addApplication({ deviceFlow: true });
    await run(behind, ['client', 'add', 'github', '--client-id', clientId]);
    const linked = await sandbox.run(['link', 'github', '--method', 'device', '--json'], {
      env,
      onStart: (running) => {
        void running.waitForTalk('Enter it only if').then((talk) => {
          const [, address, code = ''] = /^Open (\S+) .*\n {2}(\S+)$/m.exec(talk) ?? [];
          expect(address).toBe('https://github.com/login/device');
          github.oauth.decideDevice(code, 'approve');
        });
      },
    });
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
    github.oauth.endAccessTokens();
    await run(behind, ['repos']);
    expect(github.oauth.countExchanges('refresh_token')).toBe(1);
    const ended = await run(behind, ['unlink', '--yes', '--json']);
    expect(ended.json()).toMatchObject({ remaining: [] });
    expect(github.oauth.listIssued().filter((token) => github.oauth.isAlive(token))).toEqual([]);
    expectOnly(behind, place.api, place.web);
  });

  test('a proxy that is away: exit 7, and the link stays good', async () => {
    const [place] = places;
    const behind = await createBehindProxy(place);
    const { sandbox, github, env, proxy } = behind;
    await run(behind, ['link', 'github', '--with-token'], github.addToken().secret);
    await proxy.close();
    const repos = await sandbox.run(['repos', '--json'], { env });
    expect(repos, repos.stderr).toMatchObject({ exitCode: 7 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
  });
});
