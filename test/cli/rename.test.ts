import { describe, expect, test } from 'vitest';
import { addToken, createLinked, usualScopes } from '../support/linked.ts';

describe('rename', () => {
  test('gives a link another name; everything else stays', async () => {
    const { sandbox } = await createLinked();
    const { link } = (await sandbox.run(['show', '--json'])).json<{ readonly link: object }>();
    const run = await sandbox.run(['rename', 'gitea', 'work.2-a_b', '--json']);
    expect(run).toMatchObject({ exitCode: 0, stderr: '"gitea" is now "work.2-a_b".\n' });
    expect(run.json()).toEqual({ schema: 1, link: { ...link, name: 'work.2-a_b' } });
    expect(await sandbox.run(['show', 'gitea'])).toMatchObject({ exitCode: 5 });
    expect(await sandbox.run(['repos', 'work.2-a_b'])).toMatchObject({ exitCode: 0 });
  });

  test('a taken, kept or malformed name is exit 2, an unknown link exit 5, and nothing changes', async () => {
    const { sandbox, gitea } = await createLinked();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--name', 'other'], {
      input: token,
    });
    const before = await sandbox.run(['list']);
    const bad = [
      'other',
      'env',
      'Work',
      '.work',
      'a b',
      'a/b',
      '',
      'ä',
      'x'.repeat(64),
      'a\u001b[2J',
      '__proto__',
    ];
    for (const name of bad) {
      const run = await sandbox.run(['rename', '--json', '--', 'gitea', name]);
      expect(run, name).toMatchObject({ exitCode: 2 });
      expect(run.json()).toMatchObject({ error: { code: 'usage' } });
      expect(run.stderr).not.toContain('\u001b');
    }
    const taken = await sandbox.run(['rename', 'gitea', 'other']);
    expect(taken.stderr).toBe(
      'gitlink: There is already a link named "other".\n  Choose another: gitlink rename gitea OTHER\n',
    );
    expect(await sandbox.run(['rename', 'nothing', 'free', '--json'])).toMatchObject({ exitCode: 5 });
    expect(await sandbox.run(['rename', 'gitea'])).toMatchObject({ exitCode: 2 });
    // Its own name is no conflict.
    expect(await sandbox.run(['rename', 'gitea', 'gitea'])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.run(['list'])).toMatchObject({ stdout: before.stdout });
  });

  test('two renames to one name at once: one wins', async () => {
    const { sandbox, gitea } = await createLinked();
    const token = sandbox.guard(addToken(gitea, usualScopes));
    await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--name', 'other'], {
      input: token,
    });
    const runs = await Promise.all(['gitea', 'other'].map((name) => sandbox.run(['rename', name, 'best'])));
    expect(runs.map(({ exitCode }) => exitCode).sort()).toEqual([0, 2]);
  });
});
