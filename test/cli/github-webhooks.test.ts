import { describe, expect, test } from 'vitest';
import type { GithubWorld } from '../simulators/github/world.ts';
import { createLinkedGithub, type LinkedGithub } from '../support/linked-github.ts';
import type { Run } from '../support/sandbox.ts';

const count = 300;
const url = 'http://127.0.0.1:9/hook';
const world: GithubWorld = {
  users: [{ login: 'ada' }],
  organizations: [{ login: 'acme', members: { ada: 'admin' } }],
  repositories: [{ path: 'acme/site', count }],
};

function regenerate({ sandbox }: LinkedGithub, ...flags: readonly string[]): Promise<Run> {
  const args = ['regenerate-webhooks', 'github', '--json', '--url', url, '--allow-http', ...flags];
  return sandbox.run(args);
}

function listNames(): readonly string[] {
  return Array.from({ length: count }, (_, index) => `acme/site-${String(index + 1).padStart(4, '0')}`);
}

function readSecrets({ github }: LinkedGithub): readonly (string | null)[] {
  return listNames().flatMap((name) => github.hooksOf(name).map(({ secret }) => secret));
}

async function finish(linked: LinkedGithub, run: Run): Promise<number> {
  let runs = 1;
  let last = run;
  while (last.exitCode !== 0 && runs < 6) {
    last = await regenerate(linked);
    runs += 1;
  }
  expect(last, last.stderr).toMatchObject({ exitCode: 0 });
  return runs;
}

const secondary = {
  message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
  documentation_url: 'https://docs.github.com/rest/overview/rate-limits#about-secondary-rate-limits',
};

describe(`${count} webhooks on an Enterprise Server that has a bad day`, () => {
  test('all end on the new secret, one each, and no call is repeated that was not safe to repeat', async () => {
    const linked = await createLinkedGithub({ github: { world }, token: { scopes: ['repo', 'read:org'] } });
    const { github } = linked;
    const made = await regenerate(linked);
    expect(made, made.stderr).toMatchObject({ exitCode: 0 });
    expect(new Set(readSecrets(linked)).size).toBe(1);
    const [before] = readSecrets(linked);

    github.clearRequests();
    const writes = { method: 'PATCH', path: /hooks/ } as const;
    const limited = { status: 403, headers: { 'retry-after': '1' }, json: secondary };
    github.faults.add({ ...writes, fault: { kind: 'answer', answer: limited }, skip: 40, times: 1 });
    const tooMany = { status: 429, headers: { 'retry-after': '1' }, json: secondary };
    github.faults.add({ ...writes, fault: { kind: 'answer', answer: tooMany }, skip: 90, times: 1 });
    github.faults.add({
      path: /hooks/,
      fault: { kind: 'answer', answer: { status: 502 } },
      probability: 0.03,
    });
    github.faults.add({ path: /hooks/, fault: { kind: 'cut' }, probability: 0.02 });
    github.faults.add({ ...writes, fault: { kind: 'lost' }, probability: 0.02 });
    const run = await regenerate(linked);
    github.faults.clear();
    await finish(linked, run);

    const after = readSecrets(linked);
    expect(after).toHaveLength(count);
    expect(new Set(after).size).toBe(1);
    expect(after[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(after[0]).not.toBe(before);
    // Hooks are changed in place: none is made, none is taken away.
    expect(github.requests.filter(({ method }) => method === 'POST' || method === 'DELETE')).toEqual([]);
  });

  test('answers that are lost while hooks are made leave one each', async () => {
    const linked = await createLinkedGithub({ github: { world }, token: { scopes: ['repo', 'read:org'] } });
    const { github } = linked;
    github.faults.add({ method: 'POST', path: /hooks$/, fault: { kind: 'lost' }, probability: 0.05 });
    github.faults.add({
      method: 'POST',
      path: /hooks$/,
      fault: { kind: 'answer', answer: { status: 500 } },
      probability: 0.03,
    });
    const run = await regenerate(linked);
    github.faults.clear();
    await finish(linked, run);
    expect(listNames().map((name) => github.hooksOf(name).length)).toEqual(listNames().map(() => 1));
    expect(new Set(readSecrets(linked)).size).toBe(1);
  });
});

describe('--verify with a receiver that nobody reaches', () => {
  test('names the address as what is wrong, and what tests the same again', async () => {
    const linked = await createLinkedGithub();
    const run = await regenerate(linked, '--repo', 'acme/api', '--verify');
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.stdout).toContain('failed to connect to host');
    expect(run.stderr).not.toContain('Does the receiver know');
    expect(run.stderr).toContain('gitlink regenerate-webhooks github --url URL');
    expect(run.stderr).toContain(
      'To continue: gitlink regenerate-webhooks github --repair --repo acme/api --verify',
    );
  });
});

describe('a classic token whose scopes are known', () => {
  test('refused without that of webhooks, and taken as soon as the host says that it has it', async () => {
    const linked = await createLinkedGithub({ token: { scopes: ['public_repo', 'read:org'] } });
    const refused = await regenerate(linked, '--repo', 'acme/api');
    expect(refused, refused.stderr).toMatchObject({ exitCode: 6 });
    expect(refused.stderr).toContain('lacks the scope admin:repo_hook');
    linked.token.scopes = ['repo', 'read:org'];
    const run = await regenerate(linked, '--repo', 'acme/api');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(linked.github.hooksOf('acme/api')).toHaveLength(1);
  });

  test('one that may write webhooks and not delete them is not refused', async () => {
    const linked = await createLinkedGithub({ token: { scopes: ['repo', 'read:org'] } });
    linked.token.scopes = ['public_repo', 'read:org', 'write:repo_hook'];
    expect(await linked.sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
    const run = await regenerate(linked, '--repo', 'acme/api');
    expect(run.stderr).not.toContain('lacks the scope');
  });
});
