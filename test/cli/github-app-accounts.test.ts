import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { askHelper, helpers, readLinks, runForSecret, toRequest, type Helper } from '../support/ask-git.ts';
import {
  createInstalledGithub,
  createLinkedGithub,
  linkInstallation,
  writeKey,
  type InstalledGithub,
} from '../support/linked-github.ts';
import type { Installation } from '../simulators/github/app-state.ts';
import type { Run } from '../support/sandbox.ts';
import { runWithBrowser } from './sign-in-kit.ts';

interface TwoAccounts extends InstalledGithub {
  readonly installations: Readonly<Record<'acme' | 'others', Installation>>;
}

/** One App on two organizations: the links `acme` and `others`. */
async function createTwoAccounts(): Promise<TwoAccounts> {
  const made = await createInstalledGithub({ app: { isPublic: true }, link: ['--name', 'acme'] });
  const others = made.github.install(made.app, { account: 'others' });
  const run = await linkInstallation(made, made.app, others, ['--name', 'others', '--setup-git']);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return { ...made, installations: { acme: made.installation, others } };
}

function ask(
  { sandbox, github }: InstalledGithub,
  fullName: string,
  helper: Helper = helpers[0],
): Promise<Run> {
  return askHelper(sandbox, helper, 'get', toRequest(`${github.url}/${fullName}.git`));
}

/** The account that the password of an answer belongs to, and what it is good for. */
function judge({ github }: InstalledGithub, { stdout }: Run) {
  const [, password = ''] = /^password=(.*)$/m.exec(stdout) ?? [];
  const { state } = github;
  const token = state.tokens.get(password);
  const repositories = token && typeof token.repositories !== 'string' ? [...token.repositories] : [];
  return {
    account: token?.installation?.account.login ?? null,
    repositories: repositories.map((id) => state.repositories.get(id)?.name),
  };
}

describe('one App on two accounts', () => {
  test('explain says which link the owner of a repository chooses, and why', async () => {
    const made = await createTwoAccounts();
    const explain = async (fullName: string) => {
      const run = await made.sandbox.run(['explain', `${made.github.url}/${fullName}.git`, '--json']);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      return run.json<{
        chosen: string | null;
        candidates: { link: string; fits: boolean }[];
        reason: string;
      }>();
    };
    const acme = await explain('acme/api');
    expect([acme.chosen, acme.candidates]).toMatchObject([
      'acme',
      [
        { link: 'acme', fits: true },
        { link: 'others', fits: false },
      ],
    ]);
    expect((await explain('others/tool')).chosen).toBe('others');
    const nobody = await explain('bob/secret');
    expect(nobody.chosen).toBe(null);
    expect(nobody.reason).not.toBe('');
  });

  test.each(helpers)(
    '20 questions at once (%s): each is answered by its own account, for its one repository',
    { timeout: 120_000 },
    async (helper) => {
      const made = await createTwoAccounts();
      const names = ['acme/api', 'others/tool', 'acme/web', 'bob/secret'] as const;
      const asked = Array.from({ length: 20 }, (_, index) => names[index % names.length] ?? 'acme/api');
      const answers = await Promise.all(
        asked.map(async (name) => ({ name, run: await ask(made, name, helper) })),
      );
      for (const { name, run } of answers) {
        const [owner, repository] = name.split('/');
        const expected =
          owner === 'bob'
            ? { account: null, repositories: [] }
            : { account: owner, repositories: [repository] };
        expect({ name, ...judge(made, run) }).toEqual({ name, ...expected });
      }
    },
  );

  test('git itself: 20 times credential fill, never the wrong account', { timeout: 120_000 }, async () => {
    const made = await createTwoAccounts();
    const { sandbox, github } = made;
    const names = ['acme/api', 'others/tool'] as const;
    const asked = Array.from({ length: 20 }, (_, index) => names[index % 2] ?? 'acme/api');
    const answers = await Promise.all(
      asked.map(async (name) => {
        const input = `url=${github.url}/${name}.git\n\n`;
        return { name, run: await runForSecret(sandbox, 'git', ['credential', 'fill'], { input }) };
      }),
    );
    for (const { name, run } of answers) {
      expect(run.exitCode, run.stderr).toBe(0);
      expect({ name, account: judge(made, run).account }).toEqual({ name, account: name.split('/')[0] });
    }
    const clone = await sandbox.runProgram('git', [
      'clone',
      '--quiet',
      `${github.url}/others/tool.git`,
      'tool',
    ]);
    expect(clone, clone.stderr).toMatchObject({ exitCode: 0 });
  });

  test('a link that is linked again keeps its account, though the App is on others, too', async () => {
    const made = await createTwoAccounts();
    const run = await made.sandbox.run(['relink', 'others', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: { account: { login: 'others', id: String(made.installations.others.id) } },
    });
  });

  test('client remove is refused while links need the App, and names them', async () => {
    const made = await createTwoAccounts();
    const run = await made.sandbox.run(['client', 'remove', '--yes']);
    expect([run.exitCode, run.stderr]).toEqual([6, expect.stringContaining('is needed by acme, others')]);
    expect(judge(made, await ask(made, 'acme/api')).account).toBe('acme');
    await made.sandbox.run(['unlink', 'acme', '--yes']);
    expect((await made.sandbox.run(['client', 'remove', '--yes'])).exitCode).not.toBe(0);
    await made.sandbox.run(['unlink', 'others', '--yes']);
    const removed = await made.sandbox.run(['client', 'remove', '--yes']);
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    expect(removed.stderr).toContain(`/settings/apps/${made.app.slug}`);
  });
});

describe('an App that is there already', () => {
  test('--org takes the one of the organization, and no second one is made', async () => {
    const { sandbox, github, installation } = await createInstalledGithub();
    await sandbox.run(['unlink', '--yes']);
    const run = await sandbox.run(['link', 'github', '--host', github.url, '--org', 'ACME', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { account: { login: 'acme', id: String(installation.id) } } });
    expect(github.state.apps.size).toBe(1);
  });

  test('on two accounts: which is asked for, and --namespace answers', async () => {
    const { sandbox, github, app } = await createInstalledGithub({ app: { isPublic: true } });
    const others = github.install(app, { account: 'others' });
    await sandbox.run(['unlink', '--yes']);
    const args = ['link', 'github', '--host', github.url, '--json'];
    const open = await sandbox.run(args);
    expect([open.exitCode, open.stderr]).toEqual([2, expect.stringMatching(/\(acme\) or .*\(others\)/)]);
    const run = await sandbox.run([...args, '--namespace', 'others']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { account: { login: 'others', id: String(others.id) } } });
  });

  test('linked wherever it is installed: the page opens, with what it is for and what else there is', async () => {
    const { sandbox, github, app } = await createInstalledGithub();
    const opened: string[] = [];
    const args = ['link', 'github', '--host', github.url, '--timeout', '1'];
    const run = await runWithBrowser(sandbox, args, {
      act: (url) => {
        opened.push(url);
        return Promise.resolve(null);
      },
    });
    expect(run.exitCode).toBe(4);
    expect(opened).toEqual([`${github.url}/github-apps/${app.slug}/installations/new`]);
    expect(run.stderr).toContain('a private App goes on acme alone');
    expect(run.stderr).toContain('gitlink link github --org NAME');
  });

  test('show names the installation, the App and its page', async () => {
    const { sandbox, github, app, installation } = await createInstalledGithub();
    const { stdout } = await sandbox.run(['show']);
    expect(stdout).toContain(`account\tacme (installation ${installation.id})\n`);
    expect(stdout).toContain(`app\t${app.slug} (${github.url}/github-apps/${app.slug})\n`);
  });
});

describe('relink of an App', () => {
  test('uninstalled and installed again, with another number: the link follows; name, restriction and webhooks stay', async () => {
    const made = await createInstalledGithub({ link: ['--repo', 'acme/api'] });
    const { sandbox, github, app, installation } = made;
    const hooks = ['regenerate-webhooks', '--url', 'http://127.0.0.1:9/canary', '--allow-http'];
    expect(await sandbox.run(hooks)).toMatchObject({ exitCode: 0 });
    github.uninstall(installation);
    const refused = await ask(made, 'acme/api');
    expect([refused.stdout, refused.stderr]).toEqual([
      '',
      expect.stringContaining('not installed on acme any more'),
    ]);
    const checked = await sandbox.run(['list', '--check']);
    expect([checked.exitCode, checked.stderr]).toEqual([
      3,
      expect.stringContaining('install the App again: gitlink relink github'),
    ]);
    const again = github.install(app, { account: 'acme' });
    expect(again.id).not.toBe(installation.id);
    const run = await sandbox.run(['relink', 'github', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({
      link: {
        name: 'github',
        status: 'ok',
        account: { login: 'acme', id: String(again.id) },
        restriction: { mode: 'restricted', repositories: ['acme/api'] },
        webhook: { url: 'http://127.0.0.1:9/canary' },
      },
    });
    expect(judge(made, await ask(made, 'acme/api'))).toEqual({ account: 'acme', repositories: ['api'] });
  });

  test('on another account it is another link: exit 2, unless that is wished', async () => {
    const made = await createInstalledGithub({ app: { isPublic: true } });
    const { sandbox, github, app, installation } = made;
    github.uninstall(installation);
    github.install(app, { account: 'others' });
    const run = await sandbox.run(['relink', 'github']);
    expect([run.exitCode, run.stderr]).toEqual([2, expect.stringContaining('--allow-account-change')]);
    expect(readLinks(sandbox)).toMatchObject([{ account: { login: 'acme' } }]);
  });

  test('a new key by --app-key-file, after the old one was deleted at the host', async () => {
    const made = await createInstalledGithub();
    const { sandbox, app } = made;
    const fresh = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    app.publicKeys.splice(0, app.publicKeys.length, fresh.publicKey);
    const refused = await sandbox.run(['token', '--repo', 'acme/api']);
    expect(refused, refused.stderr).toMatchObject({ exitCode: 4, stdout: '' });
    expect(refused.stderr).toContain('does not accept this key');
    const key = writeKey(sandbox, fresh.privateKey);
    const run = await sandbox.run(['relink', 'github', '--app-key-file', key, '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ link: { status: 'ok', method: 'app' } });
    expect(judge(made, await ask(made, 'acme/web')).account).toBe('acme');
    expect(
      (await sandbox.run(['client', 'list', '--json'])).json<{ clients: unknown[] }>().clients,
    ).toHaveLength(1);
  });
});

describe('rotate', () => {
  test('an App has no token to rotate: exit 6, with the page of its key and the way to give the new one', async () => {
    const { sandbox, github, app } = await createInstalledGithub();
    const run = await sandbox.run(['rotate']);
    expect(run).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain(`${github.url}/organizations/acme/settings/apps/${app.slug}`);
    expect(run.stderr).toContain('gitlink relink github --app-key-file FILE');
  });

  test.each([
    ['classic', '/settings/tokens'],
    ['fineGrained', '/settings/personal-access-tokens'],
  ] as const)(
    'a %s token is replaced by its person: exit 6, with the page and the command',
    async (kind, page) => {
      const { sandbox, github, token } = await createLinkedGithub({ token: { kind } });
      const run = await sandbox.run(['rotate']);
      expect(run).toMatchObject({ exitCode: 6 });
      expect(run.stderr).toContain(`${github.url}${page}`);
      expect(run.stderr).toContain('gitlink relink github --with-token');
      // And that works, ending the old one only where that is wished and possible.
      const fresh = github.addToken({ kind });
      const relinked = await sandbox.run(['relink', 'github', '--with-token', '--json'], {
        input: fresh.secret,
      });
      expect(relinked, relinked.stderr).toMatchObject({ exitCode: 0 });
      expect(relinked.stderr).toContain(`delete it at ${github.url}${page}`);
      const helper = await askHelper(sandbox, helpers[0], 'get', toRequest(`${github.url}/ada/notes.git`));
      expect(helper.stdout).toContain(`password=${fresh.secret}\n`);
      expect(token.revoked).toBe(false);
    },
  );
});

describe('token of a restricted App', () => {
  test('needs a repository inside the restriction: exit 6 otherwise, and nothing is minted', async () => {
    const made = await createInstalledGithub({ link: ['--repo', 'acme/api'] });
    const { sandbox, github } = made;
    const mints = () => github.requests.filter(({ path }) => path.endsWith('/access_tokens')).length;
    const before = mints();
    const without = await sandbox.run(['token']);
    expect([without.exitCode, without.stderr]).toEqual([6, expect.stringContaining('--repo OWNER/NAME')]);
    const outside = await sandbox.run(['token', '--repo', 'acme/web']);
    expect([outside.exitCode, outside.stdout]).toEqual([6, '']);
    const executed = await sandbox.run(['exec', '--', 'true']);
    expect(executed.exitCode).toBe(6);
    expect(mints()).toBe(before);
    const within = await sandbox.run(['exec', '--repo', 'acme/api', '--', 'sh', '-c', 'test -n "$GH_TOKEN"']);
    expect(within, within.stderr).toMatchObject({ exitCode: 0 });
    expect(mints()).toBe(before + 1);
  });
});
