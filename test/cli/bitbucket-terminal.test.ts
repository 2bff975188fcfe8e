import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { readLinks } from '../support/ask-git.ts';
import { converse, enter, isExpectMissing } from '../support/converse.ts';
import {
  accessScopes,
  adaEmail,
  apiScopes,
  createLinkedBitbucket,
  createLinkedDc,
  createSignedIn,
  guardAll,
  linkArgs,
  startBitbucket,
} from '../support/linked-bitbucket.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';

/** A browser that notes what it is to open. */
function createBrowser({ home }: Sandbox) {
  const note = join(home, 'opened');
  const program = join(home, 'bin', 'noting-browser');
  writeFileSync(program, `#!/bin/sh\nprintf %s "$1" >'${note}.part' && mv '${note}.part' '${note}'\n`, {
    mode: 0o755,
  });
  return {
    env: { BROWSER: 'noting-browser' },
    opened: async (): Promise<string> => {
      const deadline = performance.now() + 10_000;
      while (!existsSync(note)) {
        if (performance.now() > deadline) throw new Error('No page was opened.');
        await delay(10);
      }
      return readFileSync(note, 'utf8');
    },
    isUsed: () => existsSync(note),
  };
}

async function createUnlinked() {
  const bitbucket = await startBitbucket();
  return { bitbucket, sandbox: guardAll(createSandbox(), bitbucket) };
}

describe.skipIf(isExpectMissing('Bitbucket in a terminal'))('Bitbucket in a terminal', () => {
  const last: readonly (readonly [string, string])[] = [
    ['everything that the account reaches?', enter],
    ['When does this token end?', `2027-03-31${enter}`],
    ['Use this account for git?', `n${enter}`],
  ];

  test('fact 10: link asks for the e-mail address and for the end of an API token', async () => {
    const { bitbucket, sandbox } = await createUnlinked();
    const { secret } = bitbucket.addToken({ kind: 'api', scopes: apiScopes });
    const run = await converse(
      sandbox,
      linkArgs(bitbucket, '--method', 'token'),
      [
        ['Send your credential to', enter],
        ['Paste the token', `$env(TOKEN)${enter}`],
        ['The e-mail address of your account', `${adaEmail}${enter}`],
        ...last,
      ],
      { TOKEN: secret },
    );
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    expect(run.stdout).toContain('/manage-profile/security/api-tokens');
    expect(run.stdout).toContain('read:webhook:bitbucket');
    expect(readLinks(sandbox)).toMatchObject([
      { account: { login: 'ada' }, expiresAt: Date.parse('2027-03-31') },
    ]);
  });

  test('fact 7: link asks what an access token is of, by its kind', async () => {
    const { bitbucket, sandbox } = await createUnlinked();
    const { secret } = bitbucket.addToken({ kind: 'project', resource: 'acme/API', scopes: accessScopes });
    const run = await converse(
      sandbox,
      linkArgs(bitbucket, '--method', 'token'),
      [
        ['Send your credential to', enter],
        ['Paste the token', `$env(TOKEN)${enter}`],
        ['Which project is this token for?', `acme/API${enter}`],
        ...last,
      ],
      { TOKEN: secret },
    );
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    expect(readLinks(sandbox)).toMatchObject([
      { account: { login: 'acme/API', kind: 'project' }, expiresAt: Date.parse('2027-03-31') },
    ]);
  });

  test('fact 5: unlink of a sign-in opens the page where a person ends it', async () => {
    const { sandbox, bitbucket } = await createSignedIn();
    const browser = createBrowser(sandbox);
    const run = await converse(sandbox, ['unlink'], [['Unlink "bitbucket"', `y${enter}`]], browser.env);
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    const page = `${bitbucket.url}/account/settings/app-authorizations/`;
    expect(run.stdout).toContain(`Left for you: the sign-in, which may still work (${page})`);
    expect(await browser.opened()).toBe(page);
    expect(readLinks(sandbox)).toEqual([]);
  });

  test.each([
    ['y', true],
    ['n', false],
  ])(
    'unlink asks before it ends a token that the person made; "%s": the page opens: %s',
    async (answer, isOpened) => {
      const { sandbox, bitbucket } = await createLinkedBitbucket();
      const browser = createBrowser(sandbox);
      const dialogue = [
        ['Revoke the token at', `${answer}${enter}`],
        ['Unlink "bitbucket"', `y${enter}`],
      ] as const;
      const run = await converse(sandbox, ['unlink'], dialogue, browser.env);
      expect(run, run.stdout).toMatchObject({ exitCode: 0 });
      const page = `${bitbucket.url}/manage-profile/security/api-tokens`;
      expect(run.stdout).toContain(page);
      if (isOpened) expect(await browser.opened()).toBe(page);
      else expect(browser.isUsed()).toBe(false);
    },
  );

  test('rotate at Data Center opens the page and takes the new token', async () => {
    const { sandbox, bitbucket, token } = await createLinkedDc();
    const browser = createBrowser(sandbox);
    const { secret } = bitbucket.addToken();
    const dialogue = [
      ['Paste the token', `$env(TOKEN)${enter}`],
      // Nobody is led to say of a token that it never ends.
      ['(unknown)', enter],
    ] as const;
    const run = await converse(sandbox, ['rotate'], dialogue, { ...browser.env, TOKEN: secret });
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    expect(await browser.opened()).toBe(`${bitbucket.url}/plugins/servlet/access-tokens/manage`);
    bitbucket.state.tokens.delete(token.secret);
    sandbox.guard(token.secret);
    expect(await sandbox.run(['list', '--check'])).toMatchObject({ exitCode: 0 });
  });
});
