import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Records } from '../../src/store/link-schema.ts';
import { createLinkedGitlab, usualScopes } from '../support/linked-gitlab.ts';
import type { Sandbox } from '../support/sandbox.ts';

const world = { users: [{ username: 'ada' }], projects: [{ path: 'ada/site', count: 45 }] };

function listBudgets({ stateDirectory }: Sandbox): readonly string[] {
  if (!existsSync(stateDirectory)) return [];
  return readdirSync(stateDirectory).filter((name) => /^budget-[0-9a-f]+\.json$/.test(name));
}

test('F3: two processes with links of one account stay under its limit together', async () => {
  const { sandbox, gitlab } = await createLinkedGitlab({ gitlab: { world } });
  const { secret } = gitlab.addToken({ scopes: usualScopes });
  const args = ['link', 'gitlab', '--host', gitlab.url, '--with-token', '--name', 'second'];
  expect(await sandbox.run(args, { input: `${secret}\n` })).toMatchObject({ exitCode: 0 });
  // The host tells the end of its windows by full seconds, so they must be some seconds long.
  gitlab.settings.throttle = { requests: 80, windowMs: 6_000 };
  gitlab.clearRequests();
  const runs = await Promise.all(
    ['gitlab', 'second'].map((name) =>
      sandbox.run(['regenerate-webhooks', name, '--json', '--url', `https://${name}.acme.example/hook`]),
    ),
  );
  expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  expect(gitlab.requests.length).toBeGreaterThan(180);
  expect(gitlab.requests.filter(({ status }) => status === 429)).toEqual([]);
  expect(gitlab.hooksOf('ada/site-0045')).toHaveLength(2);
  expect(listBudgets(sandbox)).toHaveLength(1);
}, 60_000);

test('a command that only reads shares nothing, so it writes nothing', async () => {
  const { sandbox, gitlab } = await createLinkedGitlab();
  gitlab.settings.throttle = { requests: 2_000, windowMs: 60_000 };
  expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 0 });
  expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  expect(listBudgets(sandbox)).toEqual([]);
});

test('F3: after a refusal the next command does not ask before the time', async () => {
  const { sandbox, gitlab } = await createLinkedGitlab();
  const answer = { status: 429, headers: { 'retry-after': '3600' }, json: { message: 'Too many' } };
  gitlab.faults.add({ times: 1, fault: { kind: 'answer', answer } });
  expect(await sandbox.run(['repos'])).toMatchObject({ exitCode: 7 });
  gitlab.clearRequests();
  const run = await sandbox.run(['repos']);
  expect(run).toMatchObject({ exitCode: 7 });
  expect(run.stderr).toContain('asks gitlink to wait until');
  expect(gitlab.requests).toEqual([]);
});

test('list --check: a host that never answers keeps the others waiting for 15 s at most', async () => {
  const { sandbox } = await createLinkedGitlab();
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  const path = join(sandbox.configDirectory, 'links.json');
  const records = JSON.parse(readFileSync(path, 'utf8')) as Records;
  const links = records.links.flatMap((link) => [
    link,
    { ...link, id: 'silent', name: 'silent', host: `http://127.0.0.1:${port}` },
  ]);
  writeFileSync(path, JSON.stringify({ ...records, links }));
  const startedAt = performance.now();
  const run = await sandbox.run(['list', '--check', '--json']);
  expect(performance.now() - startedAt).toBeLessThan(25_000);
  expect(run).toMatchObject({ exitCode: 3 });
  const { links: checked } = run.json<{ links: { name: string; status: string }[] }>();
  expect(Object.fromEntries(checked.map(({ name, status }) => [name, status]))).toEqual({
    gitlab: 'ok',
    silent: 'unreachable',
  });
}, 60_000);
