import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Records } from '../../src/store/link-schema.ts';
import { recordUsage } from '../../src/store/usage-log.ts';
import { addToken, createLinked } from '../support/linked.ts';
import { createSandbox } from '../support/sandbox.ts';

interface ShowDocument {
  readonly schema: number;
  readonly link: { readonly id: string };
}

/** The facts of a piped `show`: one a line, name and value separated by a tab. */
function readFacts(stdout: string): Record<string, string> {
  return Object.fromEntries(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t') as [string, string]),
  );
}

describe('show', () => {
  test('the document is the one that `list` has', async () => {
    const { sandbox } = await createLinked();
    const shown = (await sandbox.run(['show', 'gitea', '--json'])).json<ShowDocument>();
    const { links } = (await sandbox.run(['list', '--json'])).json<{ readonly links: unknown[] }>();
    expect(shown).toEqual({ schema: 1, link: links[0] });
  });

  test('says everything: scopes, restriction, storage and use', async () => {
    const { sandbox, gitea } = await createLinked({
      scopes: ['read:user', 'read:organization', 'read:repository', 'write:issue'],
      link: ['--namespace', 'acme', '--repo', 'ada/site', '--expires', '2099-01-02'],
    });
    const { link } = (await sandbox.run(['show', '--json'])).json<ShowDocument>();
    recordUsage(sandbox.stateDirectory, {
      linkId: link.id,
      at: Date.UTC(2026, 0, 2),
      by: 'git',
      path: 'ada/site\u001b[2J',
    });
    const facts = readFacts((await sandbox.run(['show'])).stdout);
    expect(facts).toMatchObject({
      name: 'gitea',
      provider: 'gitea 1.27.0',
      host: gitea.url,
      state: 'ok',
      expires: '2099-01-02T00:00:00.000Z',
      scopes: 'read:organization, read:repository, read:user, write:issue',
      'scopes missing': 'write:repository',
      'scopes in excess': 'write:issue',
      access: 'acme, ada/site',
      'enforced by': 'gitlink (the token itself reaches further)',
      webhooks: 'none',
      'secret in': 'file',
      'last used': '2026-01-02T00:00:00.000Z by git for ada/site\\x1b[2J',
    });
    expect(facts['account']).toMatch(/^ada \(id \d+\)$/);
  });

  test('piped values are complete', async () => {
    const { sandbox } = await createLinked();
    const path = join(sandbox.configDirectory, 'links.json');
    const records = JSON.parse(readFileSync(path, 'utf8')) as Records;
    const namespaces = Array.from({ length: 100 }, (_, index) => `namespace-${index}`);
    const links = records.links.map((link) => ({
      ...link,
      restriction: { mode: 'restricted', namespaces, repositories: [] },
    }));
    writeFileSync(path, JSON.stringify({ ...records, links }));
    expect(readFacts((await sandbox.run(['show'])).stdout)['access']).toBe(namespaces.join(', '));
  });

  test('a name that no link has, and no links at all: exit 5', async () => {
    const { sandbox } = await createLinked();
    const run = await sandbox.run(['show', 'nothing', '--json']);
    expect(run).toMatchObject({ exitCode: 5 });
    expect(run.json()).toEqual({
      error: { code: 'notFound', message: 'There is no link named "nothing".', hint: 'There are: gitea' },
    });
    const empty = await createSandbox().run(['show']);
    expect(empty).toMatchObject({ exitCode: 5, stdout: '' });
    expect(empty.stderr).toContain('gitlink link');
  });

  test('several links and no terminal: exit 2 naming the argument', async () => {
    const { sandbox, gitea } = await createLinked();
    const token = sandbox.guard(addToken(gitea, ['read:user']));
    await sandbox.run(['link', 'gitea', '--host', gitea.url, '--with-token', '--name', 'other'], {
      input: token,
    });
    const run = await sandbox.run(['show']);
    expect(run).toMatchObject({ exitCode: 2, stdout: '' });
    expect(run.stderr).toContain('the argument <link> is needed');
    expect(run.stderr).toContain('One of: gitea, other');
  });
});
