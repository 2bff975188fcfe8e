import { describe, expect, test } from 'vitest';
import { createLinked } from '../support/linked.ts';
import { createSandbox } from '../support/sandbox.ts';

describe('explain', () => {
  test('says that git does not ask gitlink for the host, until setup-git was run', async () => {
    const { sandbox, gitea } = await createLinked();
    const args = ['explain', `${gitea.url}/acme/api.git`];
    const before = await sandbox.run(args);
    expect(before).toMatchObject({ exitCode: 0 });
    expect(before.stderr).toContain('git would get "gitea": ');
    expect(before.stderr).toContain('git does not ask gitlink for this host yet: gitlink setup-git\n');

    expect(await sandbox.run(['setup-git'])).toMatchObject({ exitCode: 0 });
    const after = await sandbox.run(args);
    expect(after.stderr).toContain('git would get "gitea": ');
    expect(after.stderr).not.toContain('setup-git');
  });

  test('names the command that makes a link where none is for the host', async () => {
    const sandbox = createSandbox();
    const url = 'https://git.acme.example/acme/api.git';
    const run = await sandbox.run(['explain', url, '--json']);
    const reason = `no link is for git.acme.example; to make one: gitlink link ${url}`;
    expect(run.json()).toEqual({ schema: 1, url, chosen: null, candidates: [], reason });
    expect(run.stderr).toBe(`git would get none: ${reason}\n`);

    const odd = await sandbox.run(['explain', "https://git.acme.example/a'b/c.git"]);
    expect(odd.stderr).toMatch(/gitlink link https:\/\/git\.acme\.example\/\n$/);
  });

  test('of an ssh address says that git uses a key', async () => {
    const run = await createSandbox().run(['explain', 'git@git.acme.example:acme/api.git']);
    expect(run).toMatchObject({ exitCode: 2, stdout: '' });
    expect(run.stderr).toBe(
      'gitlink: For an ssh address git uses an ssh key, and gitlink plays no part.\n' +
        '  To see what git would get without ssh: gitlink explain https://git.acme.example/acme/api.git\n',
    );
    const azure = await createSandbox().run(['explain', 'git@ssh.dev.azure.com:v3/acme/Platform/api']);
    expect(azure.stderr).toContain('gitlink explain https://dev.azure.com/acme/Platform/_git/api\n');
  });
});
