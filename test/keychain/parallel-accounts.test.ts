import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runForSecret, toRequest } from '../support/ask-git.ts';
import { addToken, startGitea, usualScopes } from '../support/linked.ts';
import type { Run } from '../support/sandbox.ts';
import { createKeychainSandbox, isSecretServiceMissing, type KeychainSandbox } from './keychain-kit.ts';

/** What a URL shall be answered with: a link's name, or nothing. */
interface Expected {
  readonly url: string;
  readonly link: string | null;
}

const askedAtOnce = 200;

describe.skipIf(isSecretServiceMissing())('two accounts of one host, and a third at another', () => {
  async function createAccounts(): Promise<{
    readonly sandbox: KeychainSandbox;
    readonly tokens: ReadonlyMap<string, string>;
    readonly expected: readonly Expected[];
  }> {
    const sandbox = await createKeychainSandbox();
    const gitea = await startGitea();
    const other = await startGitea({ flavour: 'forgejo' });
    const tokens = new Map<string, string>();
    const link = async (name: string, host: typeof gitea, user: string, flags: readonly string[]) => {
      const token = sandbox.guard(addToken(host, usualScopes, user));
      const args = [
        'link',
        'gitea',
        '--host',
        host.url,
        '--name',
        name,
        '--with-token',
        '--setup-git',
        ...flags,
      ];
      const run = await sandbox.run(args, { input: token });
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      tokens.set(name, token);
    };
    await link('work', gitea, 'ada', ['--namespace', 'acme', '--repo', 'ada/site']);
    await link('bob', gitea, 'bob', ['--namespace', 'bob']);
    await link('third', other, 'ada', ['--namespace', 'ada']);
    return {
      sandbox,
      tokens,
      expected: [
        { url: `${gitea.url}/acme/api.git`, link: 'work' },
        { url: `${gitea.url}/acme/old.git/info/lfs`, link: 'work' },
        { url: `${gitea.url}/ada/site.git`, link: 'work' },
        { url: `${gitea.url}/ada/notes.git`, link: null },
        { url: `${gitea.url}/bob/tools.git`, link: 'bob' },
        { url: `${gitea.url}/eve/tools.git`, link: null },
        { url: `${other.url}/ada/site.git`, link: 'third' },
        { url: `${other.url}/acme/api.git`, link: null },
      ],
    };
  }

  function readPassword({ stdout }: Run): string | null {
    return /^password=(.*)$/m.exec(stdout)?.[1] ?? null;
  }

  test(`C7: of ${askedAtOnce} parallel questions of git none is answered for the wrong account`, async () => {
    const { sandbox, tokens, expected } = await createAccounts();
    const questions = Array.from({ length: askedAtOnce }, (_, index) => expected[index % expected.length]);
    const answers = await Promise.all(
      questions.map(async (question) => {
        const input = toRequest(question?.url ?? '');
        const run = await runForSecret(sandbox, 'git', ['credential', 'fill'], { input });
        return { question, password: readPassword(run), stderr: run.stderr };
      }),
    );
    const wrong = answers.filter(({ question, password }) => {
      const right = question?.link === null ? null : tokens.get(question?.link ?? '');
      return password !== null && password !== right;
    });
    expect(wrong).toEqual([]);
    // On a machine that is overloaded by this alone the keychain's own limit of time may pass for some.
    const unanswered = answers.filter(
      ({ question, password }) => question?.link !== null && password === null,
    );
    const late = unanswered.filter(({ stderr }) => stderr.includes('did not answer within'));
    expect(unanswered.map(({ stderr }) => stderr)).toEqual(late.map(({ stderr }) => stderr));
    expect(answers.length - unanswered.length).toBeGreaterThan(askedAtOnce / 2);
  });

  test('a clone with a submodule of another organization gets each its own account', async () => {
    const { sandbox, expected } = await createAccounts();
    const [api, , , , tools] = expected.map(({ url }) => url);
    const git = async (args: readonly string[], cwd = sandbox.home) => {
      const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.invalid'];
      const run = await sandbox.runProgram('git', [...identity, ...args], { cwd });
      expect(run, `git ${args.join(' ')}\n${run.stderr}`).toMatchObject({ exitCode: 0 });
      return run;
    };
    const first = join(sandbox.home, 'first');
    await git(['clone', api ?? '', first]);
    await git(['submodule', 'add', tools ?? '', 'tools'], first);
    await git(['commit', '-m', 'With a submodule'], first);
    await git(['push', 'origin', 'HEAD'], first);
    const clones = Array.from({ length: 8 }, (_, index) => join(sandbox.home, `clone-${index}`));
    await Promise.all(clones.map((folder) => git(['clone', '--recurse-submodules', api ?? '', folder])));
    await Promise.all(clones.map((folder) => git(['fetch', '--recurse-submodules'], folder)));
    const status = await git(['submodule', 'status'], clones[0] ?? '');
    expect(status.stdout).toMatch(/^ [0-9a-f]{40} tools/);
  });
});
