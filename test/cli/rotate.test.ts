import { describe, expect, test } from 'vitest';
import type { GitlabToken } from '../simulators/gitlab/token-state.ts';
import { changeLinks, readLinks } from '../support/ask-git.ts';
import { createLinked, usualScopes as giteaScopes } from '../support/linked.ts';
import {
  askAlive,
  countRotations,
  createLinkedGitlab,
  createSignedInGitlab,
  findNewestToken,
  listAliveSignIns,
  rotatePath,
  type LinkedGitlab,
} from '../support/linked-gitlab.ts';
import type { Run } from '../support/sandbox.ts';

const dayMs = 86_400_000;

interface LinkDocument {
  readonly link: Readonly<Record<string, unknown>>;
}

function rotate({ sandbox }: Pick<LinkedGitlab, 'sandbox'>, ...args: readonly string[]): Promise<Run> {
  return sandbox.run(['rotate', '--json', ...args]);
}

function dayIn(days: number): string {
  return new Date(Date.now() + days * dayMs).toISOString().slice(0, 10);
}

describe('rotate at GitLab', () => {
  test.each([
    ["a person's token", {}, { login: 'ada', kind: 'user' }],
    ["a project's token", { kind: 'project', resource: 'acme/api', scopes: ['api'] }, { kind: 'project' }],
    ["a group's token", { kind: 'group', resource: 'acme', scopes: ['api'] }, { kind: 'group' }],
  ] as const)('%s: the new one works, the old one is dead', async (_name, token, account) => {
    const linked = await createLinkedGitlab({ token });
    const { gitlab, sandbox } = linked;
    const run = await rotate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.json<LinkDocument>().link).toMatchObject({ name: 'gitlab', status: 'ok', account });
    expect(run.stderr).toContain('The old one is dead.');
    expect(await askAlive(gitlab, linked.token.secret)).toBe(401);
    expect(await askAlive(gitlab, findNewestToken(gitlab).secret)).toBe(200);
    expect(countRotations(gitlab)).toBe(1);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    // What gitlink obtained it ends.
    expect(await sandbox.run(['unlink', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(await askAlive(gitlab, findNewestToken(gitlab).secret)).toBe(401);
  });

  test('lives as long as the old one was given, or until --expires', async () => {
    const linked = await createLinkedGitlab({ token: { expiresAt: dayIn(90) } });
    expect((await rotate(linked)).json<LinkDocument>().link).toMatchObject({
      expiresAt: `${dayIn(90)}T00:00:00.000Z`,
    });
    const run = await linked.sandbox.run(['rotate', '--expires', dayIn(30)]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain(`good until ${dayIn(30)}`);
    expect(findNewestToken(linked.gitlab).expiresAt).toBe(dayIn(30));
    expect(countRotations(linked.gitlab)).toBe(2);
  });

  test('a date that is none, or past: exit 2, and nothing is asked', async () => {
    const linked = await createLinkedGitlab();
    for (const date of ['tomorrow', '2020-01-01'])
      expect(await rotate(linked, '--expires', date)).toMatchObject({ exitCode: 2 });
    expect(countRotations(linked.gitlab)).toBe(0);
    expect(await askAlive(linked.gitlab, linked.token.secret)).toBe(200);
  });

  test('a sign-in is renewed instead', async () => {
    const signedIn = await createSignedInGitlab();
    const before = await listAliveSignIns(signedIn.gitlab);
    const run = await rotate(signedIn);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const after = await listAliveSignIns(signedIn.gitlab);
    expect(after).toHaveLength(2);
    expect(after.filter((token) => before.includes(token))).toEqual([]);
    expect(await signedIn.sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });
});

describe('F2: a rotation whose answer is lost', () => {
  test.each(['lost', 'broken-json'] as const)(
    'an answer that is %s is reported and not asked for again; nothing is deleted',
    async (kind) => {
      const linked = await createLinkedGitlab();
      const { gitlab, sandbox } = linked;
      gitlab.faults.add({ fault: { kind }, method: 'POST', path: rotatePath });
      const run = await rotate(linked);
      expect(run, run.stderr).toMatchObject({ exitCode: 4 });
      expect(run.json()).toMatchObject({ error: { code: 'auth' } });
      expect(run.stderr).toContain('gitlink relink gitlab');
      expect(countRotations(gitlab)).toBe(1);
      expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked', statusReason: 'rotation' }]);
      // A second try would send a dead token, and GitLab ends the whole family for that.
      gitlab.faults.clear();
      const again = await rotate(linked);
      expect(again, again.stderr).toMatchObject({ exitCode: 4 });
      expect(again.stderr).toContain('gitlink relink gitlab');
      expect(countRotations(gitlab)).toBe(1);
      expect(findNewestToken(gitlab).revoked).toBe(false);
      const mended = gitlab.addToken({ scopes: ['api'] });
      const relinked = await sandbox.run(['relink', '--with-token'], { input: mended.secret });
      expect(relinked, relinked.stderr).toMatchObject({ exitCode: 0 });
      expect(await rotate(linked)).toMatchObject({ exitCode: 0 });
    },
  );

  test.each([
    ['a server error', { kind: 'answer', answer: { status: 502, text: '' } }],
    ['a cut connection', { kind: 'cut' }],
  ] as const)(
    '%s before anything happened changes nothing, and the next time works',
    async (_name, fault) => {
      const linked = await createLinkedGitlab();
      const { gitlab, sandbox } = linked;
      const before = readLinks(sandbox);
      gitlab.faults.add({ fault, method: 'POST', path: rotatePath, times: 1 });
      const run = await rotate(linked);
      expect(run, run.stderr).toMatchObject({ exitCode: 7 });
      expect(countRotations(gitlab)).toBe(1);
      expect(readLinks(sandbox)).toEqual(before);
      expect(await askAlive(gitlab, linked.token.secret)).toBe(200);
      expect(await rotate(linked)).toMatchObject({ exitCode: 0 });
      expect(await askAlive(gitlab, linked.token.secret)).toBe(401);
    },
  );

  test('a host that cannot be reached at all: exit 7, and the link is as it was', async () => {
    const linked = await createLinkedGitlab();
    const { gitlab, sandbox } = linked;
    const before = readLinks(sandbox);
    await gitlab.close();
    const run = await rotate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    expect(run.stderr).toContain('refused the connection');
    expect(run.stderr).not.toContain('nobody knows');
    expect(readLinks(sandbox)).toEqual(before);
  });

  test('the host goes away altogether: exit 7; list --check finds out later', async () => {
    const linked = await createLinkedGitlab();
    const { gitlab, sandbox } = linked;
    gitlab.faults.add({ fault: { kind: 'lost' }, method: 'POST', path: rotatePath, times: 1 });
    // Asked once before the rotation; after it nobody answers.
    gitlab.faults.add({ fault: { kind: 'cut' }, path: /self$/, skip: 1 });
    const run = await rotate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 7 });
    expect(run.stderr).toContain('gitlink list --check');
    gitlab.faults.clear();
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked', statusReason: 'rotation' }]);
    expect(countRotations(gitlab)).toBe(1);
  });

  test('killed between the answer and the store: the next rotation asks, and does not rotate', async () => {
    const linked = await createLinkedGitlab();
    const { gitlab, sandbox } = linked;
    gitlab.faults.add({ fault: { kind: 'stall' }, method: 'POST', path: rotatePath, times: 1 });
    const run = await sandbox.run(['rotate'], {
      onStart: (running) => {
        const timer = setInterval(() => {
          if (!linked.token.revoked) return;
          clearInterval(timer);
          running.kill('SIGKILL');
        }, 5);
      },
    });
    expect(run).toMatchObject({ signal: 'SIGKILL' });
    const again = await rotate(linked);
    expect(again, again.stderr).toMatchObject({ exitCode: 4 });
    expect(again.stderr).toContain('gitlink relink gitlab');
    expect(countRotations(gitlab)).toBe(1);
    expect(findNewestToken(gitlab).revoked).toBe(false);
    expect(readLinks(sandbox)).toMatchObject([{ status: 'revoked', statusReason: 'rotation' }]);
  });

  test('killed before the host did anything: the next rotation works', async () => {
    const linked = await createLinkedGitlab();
    const { gitlab, sandbox } = linked;
    changeLinks(sandbox, (links) => links.map((link) => ({ ...link, rotationBegunAt: Date.now() })));
    const run = await rotate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(countRotations(gitlab)).toBe(1);
  });
});

describe('where a token cannot be rotated', () => {
  test.each([
    ['people must use fine-grained tokens', { settings: { enforcesFineGrainedTokens: true } }, 'legacy'],
    ['the server is too old', { version: '16.9.0-ee' }, '404'],
  ])('%s: exit 6 with the page, and the old one lives', async (_name, options, reason) => {
    const linked = await createLinkedGitlab({ gitlab: options });
    const { gitlab, sandbox } = linked;
    const before = readLinks(sandbox);
    const run = await rotate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.json()).toMatchObject({ error: { code: 'unsupported' } });
    expect(run.stderr).toContain(reason);
    expect(run.stderr).toContain(`${gitlab.url}/-/user_settings/personal_access_tokens`);
    expect(run.stderr).toContain('gitlink relink gitlab --with-token');
    expect(readLinks(sandbox)).toEqual(before);
    expect(await askAlive(gitlab, linked.token.secret)).toBe(200);
  });

  test.each([
    ['expired', (token: GitlabToken) => void (token.expiresAt = dayIn(0))],
    ['was revoked', (token: GitlabToken) => void (token.revoked = true)],
  ])('a token that %s is not sent to be rotated: exit 4, and it is not called lost', async (_name, end) => {
    const linked = await createLinkedGitlab();
    const { gitlab, sandbox } = linked;
    end(linked.token);
    const run = await rotate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    expect(run.stderr).not.toContain('lost');
    expect(run.stderr).toContain('gitlink relink gitlab');
    expect(countRotations(gitlab)).toBe(0);
    expect(readLinks(sandbox)).toMatchObject([
      { status: 'revoked', statusReason: null, rotationBegunAt: null },
    ]);
  });

  test('a blocked account: exit 6, and nothing is called lost', async () => {
    const linked = await createLinkedGitlab();
    linked.token.user.state = 'blocked';
    const run = await rotate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain('blocked');
    expect(countRotations(linked.gitlab)).toBe(0);
    linked.token.user.state = 'active';
    expect(await rotate(linked)).toMatchObject({ exitCode: 0 });
  });
});

describe('rotate at Gitea', () => {
  test('with write:user: replaced, and the old one is revoked', async () => {
    const linked = await createLinked({ scopes: [...giteaScopes, 'write:user'] });
    const { gitea, sandbox, token } = linked;
    const run = await sandbox.run(['rotate', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(gitea.state.tokens.has(token)).toBe(false);
    const [fresh] = gitea.state.tokens.keys();
    sandbox.guard(fresh ?? '');
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });

  test('without it: exit 6 with the page', async () => {
    const linked = await createLinked();
    const run = await linked.sandbox.run(['rotate', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain(`${linked.gitea.url}/user/settings/applications`);
    expect(run.stderr).toContain('write:user');
    expect(await linked.sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });
});
