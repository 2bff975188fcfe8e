import { describe, expect, test } from 'vitest';
import { addRepository, renameRepository as renameAtBitbucket } from '../simulators/bitbucket/world.ts';
import { renameRepository } from '../simulators/gitea/world.ts';
import { askHelper, helpers, toRequest, type Helper } from '../support/ask-git.ts';
import { createLinkedBitbucket } from '../support/linked-bitbucket.ts';
import { createLinked, type Linked } from '../support/linked.ts';
import type { Run } from '../support/sandbox.ts';

function ask({ sandbox, gitea }: Linked, helper: Helper, fullName: string): Promise<Run> {
  return askHelper(sandbox, helper, 'get', toRequest(`${gitea.url}/${fullName}.git`));
}

function countApiCalls({ gitea }: Linked): number {
  return gitea.requests.filter(({ path }) => path.startsWith('/api/')).length;
}

describe.each(helpers)('%s, asked for a name that a restriction does not know', (helper) => {
  test('C6: a repository under its new name is looked up once, and known from then on', async () => {
    const linked = await createLinked({ link: ['--repo', 'ada/notes'] });
    renameRepository(linked.gitea.state, 'ada/notes', 'ada/diary');
    linked.gitea.clearRequests();
    const first = await ask(linked, helper, 'ada/diary');
    expect(first.stdout, first.stderr).toContain('password=');
    expect(countApiCalls(linked)).toBe(1);
    expect((await ask(linked, helper, 'ada/diary')).stdout).toBe(first.stdout);
    expect(countApiCalls(linked)).toBe(1);
  });

  test('C6: another repository gets nothing, whatever its name was', async () => {
    const linked = await createLinked({ link: ['--repo', 'ada/notes'] });
    renameRepository(linked.gitea.state, 'ada/notes', 'ada/diary');
    renameRepository(linked.gitea.state, 'ada/site', 'ada/notes-too');
    const run = await ask(linked, helper, 'ada/notes-too');
    expect([run.exitCode, run.stdout]).toEqual([0, '']);
    expect(run.stderr).toMatch(
      /^gitlink: ada\/notes-too\.git is outside the restriction of "gitea"[ -~]*\n$/,
    );
  });

  test('a restriction of namespaces alone asks nobody', async () => {
    const linked = await createLinked({ link: ['--namespace', 'ada'] });
    linked.gitea.clearRequests();
    expect((await ask(linked, helper, 'acme/api')).stdout).toBe('');
    expect(countApiCalls(linked)).toBe(0);
  });

  test('a host that does not answer means no, and the line that lists anew', async () => {
    const linked = await createLinked({ link: ['--repo', 'ada/notes'] });
    linked.gitea.faults.add({ path: /^\/api\//, fault: { kind: 'cut' } });
    const run = await ask(linked, helper, 'ada/diary');
    expect([run.exitCode, run.stdout]).toEqual([0, '']);
    expect(run.stderr).toMatch(/^gitlink: [ -~]*outside the restriction[ -~]*\n$/);
  });
});

test('C6: a repository that came into a project of Bitbucket after the list was made is found', async () => {
  const { sandbox, bitbucket } = await createLinkedBitbucket({ link: ['--namespace', 'acme/API'] });
  const get = (name: string) =>
    askHelper(sandbox, 'git-credential-gitlink', 'get', toRequest(`${bitbucket.url}/acme/${name}.git`));
  expect((await get('brandnew')).stdout).toBe('');
  addRepository(bitbucket.state, { path: 'acme/brandnew', project: 'API' });
  expect((await get('brandnew')).stdout).toContain('password=');
  renameAtBitbucket(bitbucket.state, 'acme/brandnew', 'acme/newer');
  expect((await get('newer')).stdout).toContain('password=');
});
