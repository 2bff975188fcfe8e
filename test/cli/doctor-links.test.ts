import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { smallWorld } from '../simulators/github/world.ts';
import { createInstalledGithub, createLinkedGithub } from '../support/linked-github.ts';
import { examine, findFaults, runLine } from './doctor-kit.ts';

const organizations = [
  { login: 'acme', members: { ada: 'admin' } },
  { login: 'others', members: { bob: 'admin', ada: 'member' }, policy: { approvesFineGrained: true } },
] as const;

describe('doctor and links of GitHub', () => {
  test('a token that an owner has to approve: what is to be done, and a line that works', async () => {
    const { sandbox, github, token } = await createLinkedGithub({
      github: { flavour: 'github.com', world: { ...smallWorld, organizations } },
      token: { kind: 'fineGrained', resourceOwner: 'others' },
      link: ['--namespace', 'others'],
    });
    const page = `${github.url}/settings/personal-access-tokens`;
    const faults = await findFaults(sandbox);
    expect(faults).toEqual([
      {
        name: 'links',
        state: 'warning',
        detail: '"github" waits for somebody at the host (approval)',
        fix: `an owner has to approve the token (${page}); then: gitlink list --check`,
      },
    ]);

    token.isPending = false;
    const line = faults[0]?.fix?.split('then: ')[1] ?? 'false';
    expect(await runLine(sandbox, line)).toMatchObject({ exitCode: 0 });
    expect(await findFaults(sandbox)).toEqual([]);
  });

  test("an installation whose minted tokens are gone is sound: its App's key makes others", async () => {
    const { sandbox, github, app, keyFile } = await createInstalledGithub();
    onTestFinished(() => rmSync(keyFile, { force: true }));
    rmSync(join(sandbox.configDirectory, 'secrets.vault'));
    const add = ['client', 'add', 'github', '--host', github.url, '--app-id', String(app.id)];
    expect(await sandbox.run([...add, '--app-key-file', keyFile])).toMatchObject({ exitCode: 0 });
    const links = (await examine(sandbox)).filter(({ name }) => name === 'links');
    expect(links).toMatchObject([{ state: 'ok' }]);
  });
});
