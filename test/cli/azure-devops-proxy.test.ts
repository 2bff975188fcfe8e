import { request } from 'node:https';
import { describe, expect, test } from 'vitest';
import { readLinks } from '../support/ask-git.ts';
import { visit } from '../support/browser.ts';
import {
  assertDone,
  createBehindProxy,
  expectOneEach,
  hooksAt,
  listForms,
  type BehindProxy,
} from '../support/linked-azure-devops.ts';
import { hurry } from './refresh-kit.ts';
import { runWithCode } from './sign-in-kit.ts';
import { receiverUrl } from './webhooks-kit.ts';

const strange = 'acme/Straße Süd';

/** The hosts that were asked for, and no other was. */
function expectOnly({ proxy }: BehindProxy, ...hosts: string[]): void {
  const targets = [...new Set(proxy.requests.map(({ target }) => target))].sort();
  expect(targets).toEqual(hosts.map((host) => `${host}:443`).sort());
  // A tunnel that git leaves early ends in other ways.
  expect(proxy.requests.filter(({ status }) => status === 403)).toEqual([]);
}

describe('dev.azure.com behind a proxy', () => {
  test('one life of a link: link, list, restrict, git, webhooks, unlink, without naming a host', async () => {
    const behind = await createBehindProxy();
    const { sandbox, azure, env } = behind;
    const { secret } = azure.addToken();
    const args = ['link', 'azure-devops', '--organization', 'acme', '--with-token', '--setup-git', '--json'];
    const linked = await sandbox.run(args, { input: secret, env });
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });
    expect(linked.json()).toMatchObject({
      link: { host: 'https://dev.azure.com', organization: 'acme', account: { login: 'ada@acme.test' } },
    });
    expect(await sandbox.run(['list', '--check'], { env })).toMatchObject({ exitCode: 0 });
    const restricted = await sandbox.run(['restrict', 'azure-devops', strange], { env });
    expect(restricted, restricted.stderr).toMatchObject({ exitCode: 0 });
    const repos = await sandbox.run(['repos', '--json'], { env });
    expect(repos.json()).toMatchObject({
      repositories: [
        { cloneUrl: 'https://dev.azure.com/acme/Stra%C3%9Fe%20S%C3%BCd/_git/api' },
        { cloneUrl: 'https://dev.azure.com/acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug' },
      ],
    });
    const clone = await sandbox.runProgram(
      'git',
      ['clone', '--quiet', 'https://acme.visualstudio.com/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug', 'tools'],
      { env },
    );
    expect(clone, clone.stderr).toMatchObject({ exitCode: 0 });
    const hooks = await sandbox.run(['regenerate-webhooks', '--url', receiverUrl], { env });
    expect(hooks, hooks.stderr).toMatchObject({ exitCode: 0 });
    for (const name of ['api', 'werk zeug']) {
      const events = ['git.push', 'git.pullrequest.created', 'git.pullrequest.updated'];
      expectOneEach(hooksAt(azure, `${strange}/${name}`), events, receiverUrl);
    }
    const unlinked = await sandbox.run(['unlink', '--revoke', '--yes', '--json'], { env });
    expect(unlinked, unlinked.stderr).toMatchObject({ exitCode: 0 });
    expect(unlinked.json()).toMatchObject({
      remaining: [{ url: 'https://dev.azure.com/acme/_usersettings/tokens' }],
    });
    expect(azure.hooksOf('acme')).toEqual([]);
    expectOnly(behind, 'dev.azure.com', 'acme.visualstudio.com');
  });

  test.each([
    'https://acme.visualstudio.com/DefaultCollection/Platform/_git/api',
    'https://dev.azure.com/acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug',
    'https://dev.azure.com/acme',
    'acme.visualstudio.com',
  ])('%s is the organization acme', async (address) => {
    const { sandbox, azure, env } = await createBehindProxy();
    const { secret } = azure.addToken();
    const run = await sandbox.run(['link', address, '--with-token', '--json'], { input: secret, env });
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { host: 'https://dev.azure.com', organization: 'acme' } });
  });

  test('fact 2: no organization: exit 2 with the flag; one that is not there: exit 5; the token goes nowhere', async () => {
    const { sandbox, azure, env } = await createBehindProxy();
    const { secret } = azure.addToken();
    const args = ['link', 'azure-devops', '--with-token', '--json'];
    const run = await sandbox.run(args, { input: secret, env });
    expect(run, run.stderr).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('--organization');
    const wrong = await sandbox.run([...args, '--organization', 'nobody'], { input: secret, env });
    expect(wrong, wrong.stderr).toMatchObject({ exitCode: 5 });
    expect(azure.requests.filter(({ authorization }) => authorization !== null)).toEqual([]);
  });

  test('signing in by a browser: Entra is at another host, and tokens are managed at a third', async () => {
    const behind = await createBehindProxy();
    const { sandbox, azure, env } = behind;
    const { clientId } = azure.oauth.addApplication();
    assertDone(await sandbox.run(['client', 'add', 'azure-devops', '--client-id', clientId], { env }));
    azure.oauth.person.consent = 'approve';
    let comingBack: Promise<unknown> = Promise.resolve();
    const args = ['link', 'azure-devops', '--organization', 'acme', '--for', 'admin', '--name', 'person'];
    const run = await sandbox.run([...args, '--no-browser', '--timeout', '20', '--json'], {
      env,
      onStart: (child) => {
        comingBack = child.waitForTalk('comes back to port').then(async (talk) => {
          const [address = ''] = /https:\/\/login\.microsoftonline\.com\/\S+/.exec(talk) ?? [];
          return visit(await approve(behind, new URL(address)));
        });
      },
    });
    await comingBack;
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { method: 'oauth', host: 'https://dev.azure.com' } });
    azure.oauth.endAccessTokens();
    expect(await sandbox.run(['repos'], { env })).toMatchObject({ exitCode: 0 });
    expect(azure.oauth.countExchanges('refresh_token')).toBe(1);
    expectOnly(behind, 'dev.azure.com', 'login.microsoftonline.com');
    const token = azure.addToken();
    const pasted = ['link', 'azure-devops', '--organization', 'acme', '--with-token', '--name', 'pat'];
    assertDone(await sandbox.run(pasted, { input: token.secret, env }));
    const rotated = await sandbox.run(['rotate', 'pat', '--via', 'person', '--json'], { env });
    expect(rotated, rotated.stderr).toMatchObject({ exitCode: 0 });
    expect(token.revoked).toBe(true);
    expectOnly(behind, 'dev.azure.com', 'login.microsoftonline.com', 'vssps.dev.azure.com');
    const unlinked = await sandbox.run(['unlink', 'person', '--yes', '--json'], { env });
    expect(unlinked.json()).toMatchObject({ remaining: [{ url: 'https://myapps.microsoft.com' }] });
  });

  test('signing in by a code: it is entered at Microsoft', async () => {
    const behind = await createBehindProxy();
    const { sandbox, azure, env } = behind;
    const { clientId } = azure.oauth.addApplication();
    azure.oauth.polls.intervalS = 1;
    const args = ['link', 'azure-devops', '--organization', 'acme', '--method', 'device', '--json'];
    const run = await runWithCode(
      sandbox,
      [...args, '--client-id', clientId],
      (code) => azure.oauth.decideDevice(code, 'approve'),
      { env: { ...env, DISPLAY: undefined } },
    );
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.shown?.address).toBe('https://microsoft.com/devicelogin');
    expectOnly(behind, 'dev.azure.com', 'login.microsoftonline.com');
    expect(listForms(azure)).toEqual(['bearer']);
  });

  test('a proxy that is away: exit 7, and the link stays good', async () => {
    const { sandbox, azure, env, proxy } = await createBehindProxy();
    const { secret } = azure.addToken();
    const args = ['link', 'azure-devops', '--organization', 'acme', '--with-token'];
    assertDone(await sandbox.run(args, { input: secret, env }));
    await proxy.close();
    const run = await sandbox.run(['repos', '--json'], { env: { ...env, ...hurry(sandbox) } });
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'ok' }]);
  });
});

/**
 * Follows Entra as a browser does that reaches it under its real name.
 *
 * @returns where it comes back to.
 */
async function approve({ azure, authority }: BehindProxy, start: URL): Promise<string> {
  const cookies = new Map<string, string>();
  const host = 'login.microsoftonline.com';
  let url = start;
  for (let step = 0; step < 10 && url.hostname === host; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const location = await new Promise<string>((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: azure.port,
          path: url.pathname + url.search,
          servername: host,
          headers: { host, cookie },
          ca: authority,
        },
        (response) => {
          response.resume();
          for (const set of response.headers['set-cookie'] ?? []) {
            const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
            cookies.set(name, value);
          }
          resolve(response.headers.location ?? '');
        },
      );
      sent.on('error', reject);
      sent.end();
    });
    url = new URL(location, url);
  }
  return url.href;
}
