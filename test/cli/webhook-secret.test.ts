import { describe, expect, test } from 'vitest';
import { createLinked } from '../support/linked.ts';
import { createHooks, fourRepositories, readSecret, regenerate } from './webhooks-kit.ts';

describe('webhook-secret', () => {
  test('prints the secret alone on standard output, or in the JSON document', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    const secret = await createHooks(linked);
    const plain = await linked.sandbox.run(['webhook-secret', 'gitea']);
    expect(plain).toMatchObject({ exitCode: 0, stdout: `${secret}\n`, stderr: '' });
    const json = await linked.sandbox.run(['webhook-secret', '--json']);
    expect(json.json()).toEqual({ schema: 1, secret });
  });

  test('tells CI systems to mask it before it is printed', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    const secret = await createHooks(linked);
    const run = await linked.sandbox.run(['webhook-secret'], { env: { GITHUB_ACTIONS: 'true' } });
    expect(run).toMatchObject({ stdout: `${secret}\n`, stderr: `::add-mask::${secret}\n` });
  });

  test('--previous is there only during a rotation, else exit 5', async () => {
    const linked = await createLinked({ gitea: { world: fourRepositories } });
    const { gitea, sandbox } = linked;
    gitea.faults.add({
      fault: { kind: 'answer', answer: { status: 403, json: { message: 'no' } } },
      method: 'POST',
      path: /site-0003/,
      times: 2,
    });
    // The first rotation of all has nothing before it.
    expect(await regenerate(linked, ['--url', 'https://ci.acme.example/hook'])).toMatchObject({
      exitCode: 3,
    });
    const first = await readSecret(sandbox);
    const none = await sandbox.run(['webhook-secret', '--previous', '--json']);
    expect(none).toMatchObject({ exitCode: 5 });
    expect(none.json()).toMatchObject({ error: { code: 'notFound' } });
    expect(await regenerate(linked)).toMatchObject({ exitCode: 3 });
    gitea.faults.clear();
    expect(await regenerate(linked)).toMatchObject({ exitCode: 0 });
    expect(await readSecret(sandbox)).toBe(first);
    // The second has.
    gitea.faults.add({ fault: { kind: 'html', status: 502 }, method: 'POST', path: /site-0001/ });
    expect(await regenerate(linked)).toMatchObject({ exitCode: 3 });
    expect(await readSecret(sandbox, '--previous')).toBe(first);
    expect(await readSecret(sandbox)).not.toBe(first);
    gitea.faults.clear();
    expect(await regenerate(linked)).toMatchObject({ exitCode: 0 });
    expect(await readSecret(sandbox, '--previous')).toBeNull();
  });

  test('before there are webhooks it is exit 5 and says how to make them', async () => {
    const { sandbox } = await createLinked();
    const run = await sandbox.run(['webhook-secret']);
    expect(run).toMatchObject({ exitCode: 5, stdout: '' });
    expect(run.stderr).toContain('gitlink regenerate-webhooks gitea --url');
  });
});
