import { describe, expect, test } from 'vitest';
import { fullNameOf, type GiteaRepository } from '../simulators/gitea/state.ts';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { createLinkedGithub } from '../support/linked-github.ts';
import { createLinkedGitlab } from '../support/linked-gitlab.ts';
import { createLinked } from '../support/linked.ts';
import {
  createHooks,
  fourNames,
  fourRepositories,
  listHooks,
  outcomesOf,
  readSecret,
  receiverUrl,
  regenerate,
  until,
} from './webhooks-kit.ts';

/** Hooks that a run cannot bring to where they shall be, and what becomes of them and of the rotation. */

const linkFour = () => createLinked({ gitea: { world: fourRepositories } });
const refusal = { kind: 'answer', answer: { status: 403, json: { message: 'no' } } } as const;
const tell = 'cat > /dev/null; echo "phase $GITLINK_PHASE" >&2';

function findRepository({ state }: GiteaSimulator, name: string): GiteaRepository {
  const found = [...state.repositories.values()].find((each) => fullNameOf(each) === name);
  if (!found) throw new Error(`No simulated repository ${name}.`);
  return found;
}

function deleteRepository(gitea: GiteaSimulator, name: string): void {
  gitea.state.repositories.delete(findRepository(gitea, name).id);
  gitea.state.reindex();
}

describe('a rotation comes to its end', () => {
  test('where a repository with a hook was deleted: the hook is named once and forgotten', async () => {
    const linked = await linkFour();
    const before = await createHooks(linked);
    deleteRepository(linked.gitea, 'ada/site-0004');
    const run = await regenerate(linked, ['--on-secret', tell]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('does not show these webhooks of gitlink any more');
    expect(run.stderr).toContain('ada/site-0004');
    expect(run.stderr).toContain('phase retire');
    expect(await readSecret(linked.sandbox)).not.toBe(before);
    const next = await regenerate(linked, ['--on-secret', tell]);
    expect(next.stderr).not.toContain('ada/site-0004');
    expect(await readSecret(linked.sandbox, '--previous')).toBeNull();
  });

  test('F9: where hooks are out of the restriction: they keep their secret, which can be had', async () => {
    const linked = await linkFour();
    const before = await createHooks(linked);
    await linked.sandbox.run(['restrict', 'gitea', '--repo', 'ada/site-0001', '--keep-webhooks']);
    const secrets = new Set<string | null>();
    for (let round = 0; round < 3; round += 1) {
      const run = await regenerate(linked);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(run.stderr).toContain('ada/site-0002, ada/site-0003, ada/site-0004');
      secrets.add(await readSecret(linked.sandbox));
    }
    // Each run gives a fresh one, so that a secret that leaked can be replaced.
    expect(secrets.size).toBe(3);
    expect(await readSecret(linked.sandbox, '--previous')).toBe(before);
    const doctor = await linked.sandbox.run(['doctor', '--fix', '--json']);
    expect(doctor.stdout).not.toContain('no link needs');
    expect(await readSecret(linked.sandbox, '--previous')).toBe(before);

    await linked.sandbox.run(['restrict', 'gitea', '--unrestricted']);
    const all = await regenerate(linked);
    expect(all, all.stderr).toMatchObject({ exitCode: 0 });
    expect(await readSecret(linked.sandbox, '--previous')).toBeNull();
    const hooks = Object.values(listHooks(linked.gitea)).flat();
    expect(new Set(hooks.map(({ secret }) => secret))).toEqual(new Set([await readSecret(linked.sandbox)]));
  });

  test('but not where the role was lost: exit 3, and the hook keeps a secret that can be had', async () => {
    const linked = await createLinked({
      gitea: {
        world: {
          users: [{ login: 'ada' }, { login: 'bob' }],
          repositories: [
            { owner: 'ada', name: 'site' },
            { owner: 'bob', name: 'shared', collaborators: { ada: 'admin' } },
          ],
        },
      },
    });
    const before = await createHooks(linked);
    const { collaborators } = findRepository(linked.gitea, 'bob/shared');
    const setRole = (role: 'read' | 'admin'): void => {
      for (const id of [...collaborators.keys()]) collaborators.set(id, role);
    };
    setRole('read');
    const run = await regenerate(linked, ['--on-secret', tell]);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(outcomesOf(run)).toMatchObject({ 'bob/shared': 'skip failed' });
    expect(run.stderr).not.toContain('retire');
    expect(await readSecret(linked.sandbox, '--previous')).toBe(before);

    const removed = await regenerate(linked, ['--remove']);
    expect(removed).toMatchObject({ exitCode: 3 });
    setRole('admin');
    const again = await regenerate(linked, ['--remove']);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    expect(listHooks(linked.gitea)).toEqual({});
  });

  test('nor where a test delivery failed: the receiver may still know the previous secret alone', async () => {
    const { sandbox } = await createLinkedGitlab();
    const hook = ['--url', 'http://127.0.0.1:9/hook', '--allow-http', '--repo', 'acme/api'];
    await sandbox.run(['regenerate-webhooks', ...hook]);
    const before = await readSecret(sandbox);
    const run = await sandbox.run(['regenerate-webhooks', ...hook, '--verify', '--on-secret', tell]);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(run.stderr).not.toContain('retire');
    expect(await readSecret(sandbox, '--previous')).toBe(before);
  });
});

describe('--remove', () => {
  test('does not forget the hook of an archived repository', async () => {
    const linked = await linkFour();
    await createHooks(linked);
    const repository = findRepository(linked.gitea, 'ada/site-0002');
    repository.archived = true;
    const run = await regenerate(linked, ['--remove']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('1 webhook of gitlink could not be removed');
    repository.archived = false;
    expect(await regenerate(linked, ['--remove'])).toMatchObject({ exitCode: 0 });
    expect(listHooks(linked.gitea)).toEqual({});
  });

  test('C1: with the link of the environment, where hooks have no names', async () => {
    const { github, sandbox, token } = await createLinkedGithub({ token: { scopes: ['repo', 'read:org'] } });
    const env = {
      GITLINK_PROVIDER: 'github',
      GITLINK_HOST: github.url,
      GITLINK_TOKEN: token.secret,
      HOOK: 'canary-of-enough-length',
    };
    const args = ['regenerate-webhooks', 'env', '--json', '--url', receiverUrl];
    const made = await sandbox.run([...args, '--secret-env', 'HOOK'], { env });
    expect(made, made.stderr).toMatchObject({ exitCode: 0 });
    expect(github.hooksOf('ada/notes')).toHaveLength(1);
    const removed = await sandbox.run([...args, '--remove'], { env });
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(removed)).toMatchObject({ 'ada/notes': 'remove confirmed' });
    expect(github.hooksOf('ada/notes')).toHaveLength(0);
  });
});

describe('what a person is told to type', () => {
  test('continues over no more than was asked for', async () => {
    const linked = await linkFour();
    await createHooks(linked);
    linked.gitea.faults.add({ method: 'DELETE', path: /site-0001\/hooks/, fault: refusal });
    const removal = await regenerate(linked, ['--remove', '--repo', 'ada/site-0001']);
    expect(removal).toMatchObject({ exitCode: 3 });
    expect(removal.stderr).toContain(
      'To continue: gitlink regenerate-webhooks gitea --remove --repo ada/site-0001\n',
    );
    linked.gitea.faults.clear();
    linked.gitea.faults.add({ method: 'POST', path: /site-0002\/hooks/, fault: refusal });
    const rotation = await regenerate(linked, ['--on-secret', "tee 'a b' > /dev/null", '--verify']);
    expect(rotation).toMatchObject({ exitCode: 3 });
    expect(rotation.stderr).toContain(
      `To continue with the same secret: gitlink regenerate-webhooks gitea --on-secret 'tee '\\''a b'\\'' > /dev/null' --verify\n`,
    );
  });
});

describe('events that are asked for no more', () => {
  test('are taken away by --repair, and in the rest of a rotation', async () => {
    const linked = await linkFour();
    await createHooks(linked);
    const listEvents = (): unknown[] => Object.values(listHooks(linked.gitea)).map(([hook]) => hook?.events);
    const run = await regenerate(linked, ['--repair', '--events', 'push']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toMatchObject({ 'ada/site-0001': 'repair confirmed' });
    expect(listEvents()).toEqual(fourNames.map(() => ['push']));

    linked.gitea.faults.add({ method: 'POST', path: /site-0003\/hooks/, fault: refusal });
    await regenerate(linked, ['--events', 'push,release']);
    linked.gitea.faults.clear();
    expect(await regenerate(linked, ['--events', 'push'])).toMatchObject({ exitCode: 0 });
    expect(listEvents()).toEqual(fourNames.map(() => ['push']));
  });
});

describe('two at once', () => {
  test('restrict beside a rotation removes the hooks that are there then', async () => {
    const linked = await linkFour();
    await createHooks(linked);
    linked.gitea.setLatency(100);
    const rotation = regenerate(linked, ['--concurrency', '1']);
    await until(() => linked.gitea.requests.some(({ method }) => method === 'POST'));
    const restricted = await linked.sandbox.run(['restrict', 'gitea', '--repo', 'ada/site-0001', '--yes']);
    await rotation;
    expect(restricted, restricted.stderr).toMatchObject({ exitCode: 0 });
    expect(Object.keys(listHooks(linked.gitea))).toEqual(['ada/site-0001']);
  });

  test('restrict beside the making of hooks removes those that were made meanwhile', async () => {
    const linked = await linkFour();
    linked.gitea.setLatency(100);
    const making = regenerate(linked, ['--url', receiverUrl, '--concurrency', '1']);
    await until(() => linked.gitea.hooksOf('ada/site-0002').length > 0);
    await linked.sandbox.run(['restrict', 'gitea', '--repo', 'ada/site-0001', '--yes']);
    await making;
    expect(Object.keys(listHooks(linked.gitea))).toEqual(['ada/site-0001']);
  });

  test('restrict after a killed rotation leaves nothing of what that had read', async () => {
    const { github, sandbox } = await createLinkedGithub({ token: { scopes: ['repo', 'read:org'] } });
    const regenerateAll = ['regenerate-webhooks', 'github', '--json'];
    expect(await sandbox.run([...regenerateAll, '--url', receiverUrl])).toMatchObject({ exitCode: 0 });
    github.clearRequests();
    github.setLatency(100);
    const killed = await sandbox.run([...regenerateAll, '--concurrency', '1'], {
      onStart: (child) =>
        void until(() => github.requests.filter(({ path }) => path.includes('/hooks')).length > 4).then(() =>
          child.kill('SIGKILL'),
        ),
    });
    expect(killed.signal).toBe('SIGKILL');
    github.setLatency(0);
    const restricted = await sandbox.run(['restrict', 'github', '--repo', 'ada/notes', '--yes']);
    expect(restricted, restricted.stderr).toMatchObject({ exitCode: 0 });
    await sandbox.run(['restrict', 'github', '--unrestricted']);
    const again = await sandbox.run(regenerateAll);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
  });

  test('two links with one address do not take the hooks of one another', async () => {
    const { github, sandbox, token } = await createLinkedGithub({ token: { scopes: ['repo', 'read:org'] } });
    const link = ['link', 'github', '--host', github.url, '--name', 'other', '--with-token'];
    expect(await sandbox.run(link, { input: token.secret })).toMatchObject({ exitCode: 0 });
    const args = ['--url', receiverUrl, '--repo', 'ada/notes', '--json'];
    await sandbox.run(['regenerate-webhooks', 'github', ...args]);
    const [hook] = github.hooksOf('ada/notes');
    const before = hook?.secret;
    const run = await sandbox.run(['regenerate-webhooks', 'other', ...args]);
    expect(run).toMatchObject({ exitCode: 3 });
    expect(run.json()).toMatchObject({
      results: [{ state: 'failed', reason: 'the webhook of "github" delivers there already' }],
    });
    expect(github.hooksOf('ada/notes')).toMatchObject([{ secret: before }]);
    // Nothing is there for it to remove.
    const removed = await sandbox.run(['regenerate-webhooks', 'other', ...args, '--remove']);
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    expect(github.hooksOf('ada/notes')).toMatchObject([{ secret: before }]);
  });
});

test('F9: a change that the host took in part is no refusal: its secret is not lost', async () => {
  const { sandbox, gitlab } = await createLinkedGitlab();
  const args = ['regenerate-webhooks', 'gitlab', '--url', receiverUrl, '--repo', 'acme/api'];
  expect(await sandbox.run(args)).toMatchObject({ exitCode: 0 });
  const [hook] = gitlab.hooksOf('acme/api');
  if (!hook) throw new Error('No hook was made.');
  hook.disabledUntil = Infinity;
  gitlab.faults.add({ method: 'POST', path: /hooks\/\d+\/test/, fault: refusal });
  expect(await sandbox.run(args)).toMatchObject({ exitCode: 3 });
  const atHost = await readSecret(sandbox);
  const other = await sandbox.run([...args, '--with-secret'], { input: 'supplied-secret-0123456789' });
  expect(other).toMatchObject({ exitCode: 2 });
  expect(await readSecret(sandbox)).toBe(atHost);
});
