import { describe, expect, test } from 'vitest';
import type { BitbucketSimulator } from '../simulators/bitbucket/server.ts';
import { readLinks } from '../support/ask-git.ts';
import { accessScopes, createLinkedBitbucket, createSignedIn } from '../support/linked-bitbucket.ts';
import type { Run, Sandbox } from '../support/sandbox.ts';

interface UnlinkDocument {
  readonly steps: readonly { what: string; state: string; reason: string | null }[];
  readonly remaining: readonly { what: string; url: string | null }[];
}

function unlink({ sandbox }: { readonly sandbox: Sandbox }, ...flags: readonly string[]): Promise<Run> {
  return sandbox.run(['unlink', '--yes', '--json', ...flags]);
}

function summarise(run: Run): string[] {
  return run.json<UnlinkDocument>().steps.map(({ what, state }) => `${what} ${state}`);
}

/** No call may pretend to revoke: everything but reading is a hook that is removed. */
function listChanges({ requests }: BitbucketSimulator): string[] {
  return requests
    .filter(({ method }) => method !== 'GET')
    .map(({ method, template }) => `${method} ${template ?? ''}`);
}

const apiTokensPage = '/manage-profile/security/api-tokens';
const grantsPage = '/account/settings/app-authorizations/';

describe('fact 5: unlink at Bitbucket Cloud, which ends nothing by API', () => {
  test('a sign-in: exit 0, said honestly, with the page; webhooks are removed and the secret is gone', async () => {
    const made = await createSignedIn();
    const { bitbucket, sandbox } = made;
    const target = ['--url', 'https://ci.acme.example/hook', '--repo', 'acme/api'];
    expect(await sandbox.run(['regenerate-webhooks', ...target])).toMatchObject({ exitCode: 0 });
    expect(bitbucket.hooksOf('acme/api')).toHaveLength(1);
    bitbucket.clearRequests();
    const run = await unlink(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['webhook done', 'revoke skipped', 'secret done', 'record done']);
    const { steps, remaining } = run.json<UnlinkDocument>();
    expect(steps[1]?.reason).toContain('page only');
    expect(remaining).toEqual([
      { what: 'the sign-in, which may still work', url: bitbucket.url + grantsPage },
    ]);
    expect(run.stderr).toContain(
      `Left for you: the sign-in, which may still work (${bitbucket.url}${grantsPage})`,
    );
    expect(run.stderr).not.toContain('revoked');
    expect(bitbucket.hooksOf('acme/api')).toEqual([]);
    expect(listChanges(bitbucket)).toEqual([expect.stringMatching(/^DELETE .*hooks/)]);
    expect(readLinks(sandbox)).toEqual([]);
    // It does still work, so nothing else would have been true.
    const refreshTokens = [...bitbucket.state.oauth.refreshTokens.keys()];
    expect(refreshTokens.map((token) => bitbucket.oauth.isAlive(token))).toEqual([true]);
  });

  test('a sign-in that ended by itself: the page is named all the same, because nobody can know', async () => {
    const made = await createSignedIn();
    made.bitbucket.oauth.endAccessTokens();
    made.bitbucket.oauth.revokeGrants('ada');
    const run = await unlink(made);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke skipped', 'secret done', 'record done']);
    expect(run.json<UnlinkDocument>().remaining).toMatchObject([{ url: made.bitbucket.url + grantsPage }]);
    expect(readLinks(made.sandbox)).toEqual([]);
  });

  test('an API token: left alone without --revoke, and with it the page of the Atlassian account', async () => {
    const first = await createLinkedBitbucket();
    const left = await unlink(first);
    expect(left.json<UnlinkDocument>().remaining).toEqual([
      { what: 'the token, which is not revoked', url: first.bitbucket.url + apiTokensPage },
    ]);
    const made = await createLinkedBitbucket();
    const run = await unlink(made, '--revoke');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke skipped', 'secret done', 'record done']);
    expect(run.json<UnlinkDocument>()).toMatchObject({
      steps: [{ reason: 'an API token is ended on the page of the Atlassian account only' }, {}, {}],
      remaining: [{ what: 'the token, which may still work', url: made.bitbucket.url + apiTokensPage }],
    });
    expect(readLinks(made.sandbox)).toEqual([]);
  });

  test.each([
    ['repository', 'acme/api', '--repo', '/acme/api/admin/access-tokens'],
    ['project', 'acme/API', '--namespace', '/acme/workspace/projects/API/settings/access-tokens'],
    ['workspace', 'acme', '--namespace', '/acme/workspace/settings/access-tokens'],
  ] as const)('the access token of a %s: the page of its place', async (kind, resource, flag, page) => {
    for (const flags of [[], ['--revoke']]) {
      const token = { kind, resource, scopes: accessScopes };
      const made = await createLinkedBitbucket({ token, link: [flag, resource] });
      const run = await unlink(made, ...flags);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      expect(run.json<UnlinkDocument>().remaining).toMatchObject([{ url: made.bitbucket.url + page }]);
      expect(listChanges(made.bitbucket)).toEqual([]);
    }
  });

  test('a token that is dead already: --revoke proves it, and nothing is left', async () => {
    const made = await createLinkedBitbucket();
    made.token.revoked = true;
    const run = await unlink(made, '--revoke');
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(summarise(run)).toEqual(['revoke done', 'proof done', 'secret done', 'record done']);
    expect(run.json<UnlinkDocument>()).toMatchObject({
      steps: [{ reason: 'it was dead already' }, {}, {}, {}],
      remaining: [],
    });
  });

  test('a host that is away: exit 3, the link stays, and --forget needs nobody', async () => {
    const made = await createLinkedBitbucket();
    const { bitbucket, sandbox } = made;
    bitbucket.faults.add({ fault: { kind: 'cut' } });
    const run = await unlink(made, '--revoke');
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(readLinks(sandbox)).toMatchObject([{ status: 'unlinking' }]);
    bitbucket.clearRequests();
    const forgotten = await unlink(made, '--forget');
    expect(forgotten, forgotten.stderr).toMatchObject({ exitCode: 0 });
    expect(bitbucket.requests).toEqual([]);
    expect(forgotten.json<UnlinkDocument>().remaining).toEqual([
      { what: 'the token, which may still work', url: bitbucket.url + apiTokensPage },
    ]);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test('rotate of a token: exit 6 with the page, without asking the host to change anything', async () => {
    const { sandbox, bitbucket } = await createLinkedBitbucket();
    const run = await sandbox.run(['rotate', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 6 });
    expect(run.stderr).toContain(bitbucket.url + apiTokensPage);
    expect(run.stderr).toContain('gitlink relink bitbucket --with-token');
    expect(listChanges(bitbucket)).toEqual([]);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });
});
