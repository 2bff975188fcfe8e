import { describe, expect, test } from 'vitest';
import { createLinked } from '../support/linked.ts';

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
});
