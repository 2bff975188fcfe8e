import { createHmac } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { smallWorld } from '../simulators/gitea/world.ts';
import { startWebhookReceiver } from '../simulators/webhook-receiver.ts';
import { createLinked, type Linked } from '../support/linked.ts';
import {
  createHooks,
  expectOneHookEach,
  fourNames,
  fourRepositories,
  listHooks,
  listWrites,
  outcomesOf,
  readSecret,
  receiverUrl,
  regenerate,
  until,
  type WebhookDocument,
} from './webhooks-kit.ts';

const own = 'canary-of-the-receivers-own-making';
const linkFour = (): Promise<Linked> => createLinked({ gitea: { world: fourRepositories } });

const mistakes: readonly (readonly [what: string, args: readonly string[], input: string])[] = [
  ['a secret that is too short', ['--with-secret'], 'canary'],
  ['an empty one', ['--with-secret'], ''],
  ['one of two words', ['--with-secret'], 'canary-of two-words-in-it'],
  ['a file that is not there', ['--secret-file', 'nowhere'], ''],
  ['a variable that is not set', ['--secret-env', 'RECEIVER_SECRET'], ''],
  ['two places', ['--with-secret', '--secret-env', 'HOME'], own],
  ['a secret for --repair', ['--with-secret', '--repair'], own],
  ['a command for --remove', ['--on-secret', 'true', '--remove'], ''],
  ['--repair and --remove', ['--repair', '--remove'], ''],
  ['--remove and --verify', ['--remove', '--verify'], ''],
  ['an unknown event', ['--events', 'push,pull'], ''],
  ['an unknown level', ['--at', 'galaxy'], ''],
  ['an http receiver', ['--url', 'http://ci.acme.example/hook'], ''],
  ['a URL with credentials', ['--url', 'https://me:canary@ci.acme.example/hook'], ''],
  ['no URL at all', ['--url', ''], ''],
  ['too many at once', ['--concurrency', '65'], ''],
  ['no repository', ['--repo', '../site'], ''],
];

describe('the secret of regenerate-webhooks', () => {
  test('comes from standard input, a file or a variable', async () => {
    const linked = await linkFour();
    const { sandbox, gitea } = linked;
    const file = join(sandbox.home, 'secret.txt');
    writeFileSync(file, `${own}-in-a-file\n`);
    const ways = [
      { args: ['--with-secret'], options: { input: `${own}-piped\n` }, secret: `${own}-piped` },
      { args: ['--secret-file', file], options: {}, secret: `${own}-in-a-file` },
      {
        args: ['--secret-env', 'RECEIVER_SECRET'],
        options: { env: { RECEIVER_SECRET: `${own}-in-a-variable` } },
        secret: `${own}-in-a-variable`,
      },
    ];
    for (const { args, options, secret } of ways) {
      const run = await regenerate(linked, ['--url', receiverUrl, ...args], options);
      expect(run).toMatchObject({ exitCode: 0 });
      expect(run.stdout + run.stderr).not.toContain(own);
      expect(expectOneHookEach(gitea, fourNames)).toBe(secret);
    }
    expect(await readSecret(sandbox)).toBe(`${own}-in-a-variable`);
  });

  test('of a URL that cannot be meant the message says what is wrong with it', async () => {
    const linked = await linkFour();
    const mistakes = [
      ['ci.acme.example/hook', 'The webhook URL has no scheme.', 'Write https:// in front of it'],
      ['localhost:8080/hook', 'The webhook URL has no scheme.', 'Write https:// in front of it'],
      [
        'https://me:canary@ci.acme.example/hook',
        'must look like https://',
        'Credentials do not belong into it',
      ],
      ['me:canary@ci.acme.example', 'must look like https://', 'Credentials do not belong into it'],
      ['ftp://ci.acme.example/hook', 'must look like https://', 'It begins with https://'],
    ] as const;
    for (const [url, message, hint] of mistakes) {
      const run = await regenerate(linked, ['--url', url]);
      expect(run).toMatchObject({ exitCode: 2 });
      expect(run.stderr).toContain(message);
      expect(run.stderr).toContain(hint);
      expect(run.stderr).not.toContain('canary');
    }
  });

  test('what cannot be meant is exit 2, and nothing is sent', async () => {
    const linked = await linkFour();
    linked.gitea.clearRequests();
    for (const [what, args, input] of mistakes) {
      const url = args.includes('--url') ? [] : ['--url', receiverUrl];
      const run = await regenerate(linked, [...url, ...args], { input });
      expect([what, run.exitCode]).toEqual([what, 2]);
      expect(run.json()).toMatchObject({ error: { code: 'usage' } });
      expect(run.stderr).not.toContain('canary');
    }
    expect(listWrites(linked.gitea)).toEqual([]);
  });

  test('a link that was never told where to deliver to is exit 2', async () => {
    const linked = await linkFour();
    const run = await regenerate(linked);
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('--url https://');
  });
});

describe('the target of regenerate-webhooks', () => {
  test('--events takes gitlink’s words and the host’s own', async () => {
    const linked = await linkFour();
    await createHooks(linked, ['--events', 'tag,release', '--events', 'native:wiki']);
    const [hook] = linked.gitea.hooksOf('ada/site-0001');
    expect(new Set(hook?.events)).toEqual(new Set(['create', 'delete', 'release', 'wiki']));
    // They are kept for the next time.
    await regenerate(linked);
    expect(new Set(linked.gitea.hooksOf('ada/site-0001')[0]?.events)).toEqual(new Set(hook?.events));
  });

  test('--verify has a delivery sent that the receiver can check; an empty repository has none to show', async () => {
    const receiver = await startWebhookReceiver();
    onTestFinished(() => receiver.close());
    const repositories = [
      { owner: 'ada', name: 'site' },
      { owner: 'ada', name: 'void', empty: true },
    ];
    const linked = await createLinked({ gitea: { world: { ...smallWorld, repositories } } });
    const run = await regenerate(linked, ['--url', receiver.url, '--allow-http', '--verify']);
    expect(run).toMatchObject({ exitCode: 0 });
    await linked.gitea.settle();
    const secret = (await readSecret(linked.sandbox)) ?? '';
    const [delivery, ...others] = receiver.received;
    expect(others).toEqual([]);
    const signature = createHmac('sha256', secret)
      .update(delivery?.body ?? '')
      .digest('hex');
    expect(delivery?.headers).toMatchObject({ 'x-gitea-event': 'push', 'x-gitea-signature': signature });
    const { results } = run.json<WebhookDocument>();
    expect(results.map(({ repository, state, reason }) => [repository, state, reason])).toEqual([
      ['ada/site', 'confirmed', 'test sent'],
      ['ada/void', 'confirmed', 'test untestable: the repository is empty, so there is no push to show'],
    ]);
  });
});

describe('regenerate-webhooks --on-secret', () => {
  test('F10: the receiver gets the new secret before anything is sent, and retires the old one after all', async () => {
    const linked = await linkFour();
    const before = await createHooks(linked);
    const { gitea, sandbox } = linked;
    const inHome = (name: string): string => join(sandbox.home, name);
    // It waits at each phase until the test has looked at the host.
    const command =
      'cat > "$HOME/secret-$GITLINK_PHASE.part" && env > "$HOME/env-$GITLINK_PHASE" && mv "$HOME/secret-$GITLINK_PHASE.part" "$HOME/secret-$GITLINK_PHASE"; echo "told: $GITLINK_PHASE"; until [ -e "$HOME/go-$GITLINK_PHASE" ]; do sleep 0.02; done';
    const env = { GITLINK_TOKEN: 'canary-token', MY_CLIENT_SECRET: 'kept' };
    const running = regenerate(linked, ['--on-secret', command], { env });

    await until(() => existsSync(inHome('secret-new')));
    const given = readFileSync(inHome('secret-new'), 'utf8').trimEnd();
    expect(given).not.toBe(before);
    expect(listWrites(gitea)).toEqual([]);
    expect(existsSync(inHome('secret-retire'))).toBe(false);
    writeFileSync(inHome('go-new'), '');

    await until(() => existsSync(inHome('secret-retire')));
    expect(readFileSync(inHome('secret-retire'), 'utf8').trimEnd()).toBe(given);
    expect(expectOneHookEach(gitea, fourNames)).toBe(given);
    expect(await readSecret(sandbox, '--previous')).toBe(before);
    writeFileSync(inHome('go-retire'), '');

    const run = await running;
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ summary: { rotated: 4 } });
    expect(run.stderr).toContain('told: new\ntold: retire\n');
    expect(await readSecret(sandbox)).toBe(given);
    for (const phase of ['new', 'retire']) {
      const seen = readFileSync(inHome(`env-${phase}`), 'utf8');
      expect(seen).toContain(`GITLINK_PHASE=${phase}\n`);
      expect(seen).toContain('MY_CLIENT_SECRET=kept\n');
      expect(seen).not.toMatch(/^GITLINK_(?:TOKEN|PASSPHRASE)=/m);
    }
  });

  test('when it fails at first nothing is sent, and the next run makes a fresh secret', async () => {
    const linked = await linkFour();
    const before = await createHooks(linked);
    const failing = 'cat > "$HOME/refused"; exit 3';
    const run = await regenerate(linked, ['--on-secret', failing]);
    expect(run).toMatchObject({ exitCode: 1 });
    expect(run.stderr).toContain('The --on-secret command ended with 3 (GITLINK_PHASE=new).');
    expect(listWrites(linked.gitea)).toEqual([]);
    expect(await readSecret(linked.sandbox)).toBe(before);
    await regenerate(linked, ['--on-secret', 'cat > "$HOME/taken"']);
    const read = (name: string): string => readFileSync(join(linked.sandbox.home, name), 'utf8').trimEnd();
    expect(expectOneHookEach(linked.gitea, fourNames)).toBe(read('taken'));
    expect(read('taken')).not.toBe(read('refused'));
  });

  test('when it fails at last the rotation stays open, and the next run finishes it', async () => {
    const linked = await linkFour();
    const before = await createHooks(linked);
    const run = await regenerate(linked, ['--on-secret', 'cat >/dev/null; [ "$GITLINK_PHASE" = new ]']);
    expect(run).toMatchObject({ exitCode: 1 });
    const secret = expectOneHookEach(linked.gitea, fourNames);
    expect(await readSecret(linked.sandbox, '--previous')).toBe(before);
    expect(await regenerate(linked, ['--on-secret', 'cat >/dev/null'])).toMatchObject({ exitCode: 0 });
    expect(expectOneHookEach(linked.gitea, fourNames)).toBe(secret);
    expect(await readSecret(linked.sandbox, '--previous')).toBeNull();
  });

  test('--dry-run does not run it', async () => {
    const linked = await linkFour();
    await regenerate(linked, ['--url', receiverUrl, '--dry-run', '--on-secret', 'touch "$HOME/ran"']);
    expect(existsSync(join(linked.sandbox.home, 'ran'))).toBe(false);
  });
});

describe('regenerate-webhooks of a part', () => {
  test('F9: the rest keeps the previous secret until a run over all of them finishes the rotation', async () => {
    const linked = await linkFour();
    const before = await createHooks(linked);
    const { gitea, sandbox } = linked;
    const part = await regenerate(linked, ['--repo', 'ada/site-0002']);
    expect(part).toMatchObject({ exitCode: 0 });
    expect(part.stderr).toContain(
      '3 hooks elsewhere still have the previous secret. To finish: gitlink regenerate-webhooks gitea',
    );
    const next = await readSecret(sandbox);
    expect(next).not.toBe(before);
    expect(await readSecret(sandbox, '--previous')).toBe(before);
    const secretOf = (name: string) => gitea.hooksOf(name).map((hook) => hook.secret);
    expect(fourNames.map(secretOf)).toEqual([[before], [next], [before], [before]]);

    const rest = await regenerate(linked);
    expect(rest).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(rest)).toMatchObject({
      'ada/site-0001': 'rotate confirmed',
      'ada/site-0002': 'unchanged confirmed',
    });
    expect(expectOneHookEach(gitea, fourNames)).toBe(next);
    expect(await readSecret(sandbox, '--previous')).toBeNull();
  });

  test('F9: another secret is refused while hooks have that of an unfinished rotation', async () => {
    const linked = await linkFour();
    await createHooks(linked);
    await regenerate(linked, ['--repo', 'ada/site-0002']);
    const hooks = listHooks(linked.gitea);
    const run = await regenerate(linked, ['--with-secret'], { input: own });
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.stderr).toContain('Finish it first');
    expect(listHooks(linked.gitea)).toEqual(hooks);
    expect(linked.gitea.hooksOf('ada/site-0002')[0]?.secret).toBe(await readSecret(linked.sandbox));
  });

  test('outside of the restriction is exit 6, what is not there exit 5', async () => {
    const linked = await createLinked({ link: ['--namespace', 'ada'] });
    const outside = await regenerate(linked, ['--url', receiverUrl, '--repo', 'acme/api']);
    expect(outside).toMatchObject({ exitCode: 6 });
    expect(outside.json()).toMatchObject({ error: { code: 'forbidden' } });
    const nowhere = await regenerate(linked, ['--url', receiverUrl, '--repo', 'ada/nothing']);
    expect(nowhere).toMatchObject({ exitCode: 5 });
    expect(listWrites(linked.gitea)).toEqual([]);
  });
});
