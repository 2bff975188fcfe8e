import { describe, expect, test } from 'vitest';
import { renameRepository } from '../simulators/gitea/world.ts';
import { createLinked, usualScopes, type Linked } from '../support/linked.ts';
import type { Run } from '../support/sandbox.ts';
import { createHooks, listHooks, listWrites, receiverUrl, regenerate } from './webhooks-kit.ts';

interface LinkDocument {
  readonly schema: number;
  readonly link: {
    readonly enforcement: string;
    readonly restriction: {
      readonly mode: string;
      readonly namespaces: readonly string[];
      readonly repositories: readonly string[];
    };
  };
}

function restrict({ sandbox }: Linked, ...args: readonly string[]): Promise<Run> {
  return sandbox.run(['restrict', 'gitea', '--json', ...args]);
}

/** The restriction that a run tells of, as `namespaces; repositories`. */
function restrictionOf(run: Run): string {
  const { mode, namespaces, repositories } = run.json<LinkDocument>().link.restriction;
  return mode === 'unrestricted' ? mode : `${namespaces.join(' ')}; ${repositories.join(' ')}`;
}

async function listRepositories({ sandbox }: Linked): Promise<string[]> {
  const run = await sandbox.run(['repos', '--json']);
  expect(run).toMatchObject({ exitCode: 0 });
  return run
    .json<{ repositories: { fullName: string }[] }>()
    .repositories.map(({ fullName }) => fullName)
    .sort();
}

/** What git gets for a repository. */
async function askForGit(
  { sandbox, gitea }: Linked,
  path: string,
): Promise<{ stdout: string; stderr: string }> {
  const { host } = new URL(gitea.url);
  const input = `protocol=http\nhost=${host}\npath=${path}\n\n`;
  return sandbox.runScript('git-credential-gitlink.js', ['get'], { input });
}

describe('restrict', () => {
  test('namespaces and repositories replace what was set, and everything obeys', async () => {
    const linked = await createLinked({ link: ['--namespace', 'ada'] });
    const run = await restrict(linked, 'ACME', '--repo', 'ada/site');
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>()).toMatchObject({
      schema: 1,
      link: { name: 'gitea', enforcement: 'local' },
    });
    expect(restrictionOf(run)).toBe('acme; ada/site');
    expect(run.stderr).toContain('"gitea" may now be used for: acme, ada/site.');
    expect(run.stderr).toContain('gitlink enforces this itself');
    expect(await listRepositories(linked)).toEqual(['acme/api', 'acme/old', 'ada/site']);
    const outside = await askForGit(linked, 'ada/notes.git');
    expect(outside.stdout).toBe('');
    expect(outside.stderr).toContain('restrict');
  });

  test('--add, --remove and --unrestricted change what is there', async () => {
    const linked = await createLinked({ link: ['--namespace', 'ada'] });
    expect(restrictionOf(await restrict(linked, '--add', 'acme', '--repo', 'bob/tools'))).toBe(
      'ada acme; bob/tools',
    );
    expect(restrictionOf(await restrict(linked, '--remove', 'ADA', '--repo', 'Bob/Tools'))).toBe('acme; ');
    expect(restrictionOf(await restrict(linked, '--remove', 'acme'))).toBe('; ');
    expect(await listRepositories(linked)).toEqual([]);
    const lifted = await restrict(linked, '--unrestricted');
    expect(restrictionOf(lifted)).toBe('unrestricted');
    expect(lifted.json<LinkDocument>().link.enforcement).toBe('none');
  });

  test('webhooks that were kept out of reach are named by the next rotation, and removed with the last ones', async () => {
    const linked = await createLinked();
    await createHooks(linked);
    await restrict(linked, 'acme', '--keep-webhooks');
    const rotated = await regenerate(linked, ['--url', receiverUrl]);
    expect(rotated).toMatchObject({ exitCode: 0 });
    // F9: as long as a hook has the previous secret, it can be had.
    expect((await linked.sandbox.run(['webhook-secret', '--previous'])).exitCode).toBe(0);
    expect(rotated.stderr).toContain('out of reach or at another level: ada/notes, ada/site.');
    const removed = await regenerate(linked, ['--remove']);
    expect(removed).toMatchObject({ exitCode: 0 });
    // The target is not forgotten while a hook of it is left.
    const { link } = (await linked.sandbox.run(['show', '--json'])).json<LinkDocument>();
    expect(link).toMatchObject({ webhook: { url: receiverUrl } });
  });

  test('changes at the same time lose nothing', async () => {
    const linked = await createLinked({ link: ['--namespace', 'acme'] });
    await Promise.all([
      restrict(linked, '--add', 'ada'),
      restrict(linked, '--add', 'bob'),
      restrict(linked, '--add', '--repo', 'ada/site'),
    ]);
    const { link } = (await linked.sandbox.run(['show', '--json'])).json<LinkDocument>();
    expect([...link.restriction.namespaces].sort()).toEqual(['acme', 'ada', 'bob']);
    expect(link.restriction.repositories).toEqual(['ada/site']);
  });

  test('nothing can be added to a link that may be used for everything', async () => {
    const linked = await createLinked();
    const run = await restrict(linked, '--add', 'acme');
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.json()).toMatchObject({ error: { code: 'usage' } });
  });

  test('a namespace that the account only works in counts, too', async () => {
    const linked = await createLinked();
    expect(restrictionOf(await restrict(linked, 'bob'))).toBe('bob; ');
    expect(await listRepositories(linked)).toEqual(['bob/tools']);
  });

  test('what the account does not reach, or the restriction does not have, is exit 5 and changes nothing', async () => {
    const linked = await createLinked({ link: ['--namespace', 'ada'] });
    for (const args of [
      ['nowhere'],
      ['--repo', 'ada/nothing'],
      ['--remove', 'acme'],
      ['--remove', '--repo', 'ada/site'],
    ]) {
      const run = await restrict(linked, ...args);
      expect([args, run.exitCode]).toEqual([args, 5]);
      expect(run.json()).toMatchObject({ error: { code: 'notFound' } });
    }
    const { link } = (await linked.sandbox.run(['show', '--json'])).json<LinkDocument>();
    expect(link.restriction).toMatchObject({ namespaces: ['ada'], repositories: [] });
  });

  test('a repository that is named as a namespace is said to be one, with the line that names it', async () => {
    const linked = await createLinked();
    const hintOf = async (...args: readonly string[]): Promise<string> => {
      const run = await restrict(linked, ...args);
      expect(run).toMatchObject({ exitCode: 5 });
      const { error } = run.json<{ error: { message: string; hint: string } }>();
      expect(error.message).toBe('acme/api is a repository, not a namespace.');
      return error.hint.replace('Repositories have a flag of their own: ', '');
    };
    expect(await hintOf('acme/api')).toBe('gitlink restrict gitea --repo acme/api');
    expect(await hintOf('ada', 'acme/api', '--repo', 'ada/site')).toBe(
      'gitlink restrict gitea ada --repo acme/api --repo ada/site',
    );
    await restrict(linked, '--repo', 'acme/api');
    expect(await hintOf('--add', 'acme/api')).toBe('gitlink restrict gitea --add --repo acme/api');
    expect(await hintOf('--remove', 'acme/api')).toBe('gitlink restrict gitea --remove --repo acme/api');
  });

  test('link says the same of --namespace', async () => {
    const { sandbox, gitea, token } = await createLinked();
    const args = ['link', 'gitea', '--host', gitea.url, '--name', 'second', '--with-token'];
    const run = await sandbox.run([...args, '--namespace', 'acme/api'], { input: token });
    expect(run).toMatchObject({ exitCode: 5 });
    expect(run.stderr).toContain('acme/api is a repository, not a namespace.');
    expect(run.stderr).toContain('Repositories have a flag of their own: --repo acme/api');
  });

  test('what is no name, or no answer, is exit 2', async () => {
    const linked = await createLinked();
    linked.gitea.clearRequests();
    const mistakes = [
      [],
      ['--', '-acme'],
      ['..'],
      ['acme/..'],
      ['ac*'],
      ['--repo', '-ada/site'],
      ['--repo', 'ada/../notes'],
      ['--repo', 'ada/%2e%2e'],
      ['--add', '--remove', 'acme'],
      ['--unrestricted', 'acme'],
    ];
    for (const args of mistakes) {
      const run = await restrict(linked, ...args);
      expect([args, run.exitCode]).toEqual([args, 2]);
    }
    expect(linked.gitea.requests.filter(({ path }) => path.includes('%'))).toEqual([]);
  });

  test('a repository is kept by its id: it stays allowed under a new name, and its old name is not', async () => {
    const linked = await createLinked({ link: ['--repo', 'ada/site'] });
    renameRepository(linked.gitea.state, 'ada/site', 'ada/home');
    const { state } = linked.gitea;
    const impostor = state.findRepository('ada', 'notes');
    if (impostor) Object.assign(impostor, { name: 'site' });
    state.reindex();
    expect(await listRepositories(linked)).toEqual(['ada/home']);
  });
});

describe('restrict and webhooks that get out of reach', () => {
  test('without a terminal they are kept, and said', async () => {
    const linked = await createLinked();
    await createHooks(linked);
    const run = await restrict(linked, 'acme');
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('2 webhooks of gitlink are now out of reach: ada/notes, ada/site.');
    expect(run.stderr).toContain('They were kept. To remove them, run this again with --yes.');
    expect(listWrites(linked.gitea)).toEqual([]);
    // And so it does.
    expect(await restrict(linked, 'acme', '--yes')).toMatchObject({ exitCode: 0 });
    expect(Object.keys(listHooks(linked.gitea))).toEqual(['acme/api']);
    expect((await restrict(linked, 'acme')).stderr).not.toContain('out of reach');
  });

  test('--keep-webhooks leaves them without a word of advice', async () => {
    const linked = await createLinked();
    await createHooks(linked);
    const run = await restrict(linked, 'acme', '--keep-webhooks', '--yes');
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).not.toContain('To remove them');
    expect(listWrites(linked.gitea)).toEqual([]);
  });

  test('one of an allowed repository is not among them, whatever the repository is called now', async () => {
    const linked = await createLinked();
    await createHooks(linked);
    renameRepository(linked.gitea.state, 'ada/site', 'ada/home');
    const run = await restrict(linked, '--repo', 'ada/home', '--yes');
    expect(run).toMatchObject({ exitCode: 0 });
    expect(Object.keys(listHooks(linked.gitea))).toEqual(['ada/home']);
  });

  test('one that cannot be removed is exit 3, and the restriction holds all the same', async () => {
    const linked = await createLinked();
    await createHooks(linked);
    const fault = { kind: 'answer', answer: { status: 403, json: { message: 'no' } } } as const;
    linked.gitea.faults.add({ method: 'DELETE', path: /ada\/notes/, fault });
    const run = await restrict(linked, 'acme', '--yes');
    expect(run).toMatchObject({ exitCode: 3 });
    expect(run.stderr).toContain('Removed the webhook of ada/site.');
    expect(run.stderr).toContain('The webhook of ada/notes is still there: forbidden: no');
    expect(restrictionOf(run)).toBe('acme; ');
    expect(Object.keys(listHooks(linked.gitea)).sort()).toEqual(['acme/api', 'ada/notes']);
  });

  test('one of an organization is out of reach as soon as only repositories are allowed', async () => {
    const linked = await createLinked({ scopes: [...usualScopes, 'write:organization'] });
    await regenerate(linked, ['--url', receiverUrl, '--at', 'namespace']);
    const { state } = linked.gitea;
    const hooks = () => state.hooks.at('organization', state.findOwner('acme')?.id ?? 0);
    expect(hooks()).toHaveLength(1);
    expect((await restrict(linked, 'acme', '--yes')).stderr).not.toContain('out of reach');
    expect(await restrict(linked, '--repo', 'acme/api', '--yes')).toMatchObject({ exitCode: 0 });
    expect(hooks()).toEqual([]);
  });

  test('a dead credential is exit 4', async () => {
    const linked = await createLinked();
    await createHooks(linked);
    linked.gitea.state.tokens.clear();
    const run = await restrict(linked, 'acme');
    expect(run).toMatchObject({ exitCode: 4 });
    expect(run.stderr).toContain('gitlink relink gitea');
  });
});
