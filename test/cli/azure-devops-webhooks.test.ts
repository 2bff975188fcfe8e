import { describe, expect, test } from 'vitest';
import { startReceiver } from '../simulators/azure-devops-kit.ts';
import type { AzureDevopsSimulator } from '../simulators/azure-devops/server.ts';
import type { AzureDevopsSubscription } from '../simulators/azure-devops/hook-state.ts';
import { requireProject, requireUser } from '../simulators/azure-devops/state.ts';
import type { Fault } from '../simulators/faults.ts';
import { readLinks, runForSecret } from '../support/ask-git.ts';
import {
  createLinkedAzure,
  createLinkedServer,
  expectOneEach,
  hooksAt,
  summarise,
  type LinkedAzure,
} from '../support/linked-azure-devops.ts';
import type { RunningProcess } from '../support/sandbox.ts';
import { hurry } from './refresh-kit.ts';
import { outcomesOf, receiverUrl, regenerate, until, type WebhookDocument } from './webhooks-kit.ts';

const usualEvents = ['git.push', 'git.pullrequest.created', 'git.pullrequest.updated'];
const hooksPath = /_apis\/hooks\/subscriptions/;
const strange = 'acme/Straße Süd';

/** The secret that gitlink gives to the receiver, looked for in everything else. */
async function readSecret({ sandbox }: LinkedAzure, ...flags: readonly string[]): Promise<string> {
  const bin = new URL('../../bin/gitlink.js', import.meta.url).pathname;
  const run = await runForSecret(sandbox, process.execPath, [bin, 'webhook-secret', ...flags]);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  return sandbox.guard(run.stdout.trimEnd());
}

/** Links with the strange project, and makes its webhooks. */
async function createHooked(link: readonly string[] = ['--namespace', strange]): Promise<LinkedAzure> {
  const linked = await createLinkedAzure({ link });
  const run = await regenerate(linked, ['--url', receiverUrl]);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
  linked.azure.clearRequests();
  return linked;
}

const strangeNames = ['api', 'werk zeug'].map((name) => `${strange}/${name}`);

/** Every repository has one subscription for each event, all with the secret that gitlink tells. */
async function expectAllOn(linked: LinkedAzure, names: readonly string[], events = usualEvents) {
  const secret = await readSecret(linked);
  for (const name of names) {
    expect([name, expectOneEach(hooksAt(linked.azure, name), events, receiverUrl)]).toEqual([name, secret]);
  }
  return secret;
}

/** Adds a subscription that somebody else made. */
function addForeign(
  azure: AzureDevopsSimulator,
  like: AzureDevopsSubscription | undefined,
  changes: Partial<AzureDevopsSubscription>,
): AzureDevopsSubscription {
  if (!like) throw new Error('There is none to be like.');
  const { state } = azure;
  const id = state.makeGuid('foreign', state.nextId());
  const made = { ...like, id, notifications: [], ...changes };
  state.subscriptions.push(made);
  return made;
}

describe('fact 7: one subscription for each event', () => {
  test('fact 7: of every repository that the account administers, with the secret as password', async () => {
    const linked = await createLinkedAzure();
    const { azure } = linked;
    const run = await regenerate(linked, ['--url', receiverUrl]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const outcomes = outcomesOf(run);
    const names = [...strangeNames, 'acme/Platform/api', 'acme/Platform/Platform', 'acme/Secret plans/plan'];
    for (const name of names) expect([name, outcomes[name]]).toEqual([name, 'create confirmed']);
    await expectAllOn(linked, names);
    expect(azure.hooksOf('acme-labs')).toEqual([]);
    // One list for the whole organization, whatever the number of repositories.
    const lists = azure.requests.filter(({ method, path }) => method === 'GET' && hooksPath.test(path));
    expect(lists.length).toBeLessThanOrEqual(2);
  });

  test('a member without the right to webhooks: skipped, with the reason', async () => {
    const linked = await createLinkedAzure({
      token: { user: 'bob' },
      link: ['--namespace', 'acme/Platform'],
    });
    const run = await regenerate(linked, ['--url', receiverUrl]);
    const states = Object.values(outcomesOf(run));
    expect(states.length).toBeGreaterThan(0);
    for (const state of states) expect(state).toMatch(/^skip /);
    expect(linked.azure.hooksOf('acme')).toEqual([]);
    expect(readLinks(linked.sandbox)).toMatchObject([{ status: 'ok' }]);
  });

  test('a receiver gets the secret as password with what was pushed', async () => {
    const receiver = await startReceiver();
    const linked = await createLinkedAzure({ link: ['--repo', `${strange}/api`, '--setup-git'] });
    const run = await regenerate(linked, ['--url', receiver.url, '--allow-http']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const secret = await readSecret(linked);
    const { sandbox, azure } = linked;
    const git = async (...args: string[]) => {
      const person = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test'];
      const done = await sandbox.runProgram('git', [...person, ...args]);
      expect(done, done.stderr).toMatchObject({ exitCode: 0 });
    };
    await git('clone', '--quiet', `${azure.url}/acme/Stra%C3%9Fe%20S%C3%BCd/_git/api`, 'api');
    await git('-C', 'api', 'commit', '--quiet', '--allow-empty', '-m', 'x');
    await git('-C', 'api', 'push', '--quiet');
    await azure.settle();
    const [delivery] = receiver.received;
    expect(JSON.parse(String(delivery?.body))).toMatchObject({ eventType: 'git.push' });
    const pair = Buffer.from(`gitlink:${secret}`).toString('base64');
    expect(delivery?.headers['authorization']).toBe(`Basic ${pair}`);
  });

  test('other events: what is new is made, what is not wanted any more goes; a word that it lacks is exit 2', async () => {
    const linked = await createHooked();
    const run = await regenerate(linked, ['--events', 'push,comment,native:git.pullrequest.merged']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const events = ['git.push', 'ms.vss-code.git-pullrequest-comment-event', 'git.pullrequest.merged'];
    await expectAllOn(linked, strangeNames, events);
    const tagged = await regenerate(linked, ['--events', 'push,tag']);
    expect(tagged, tagged.stderr).toMatchObject({ exitCode: 0 });
    await expectAllOn(linked, strangeNames, ['git.push']);
    expect(await regenerate(linked, ['--events', 'release'])).toMatchObject({ exitCode: 2 });
  });

  test('an address that Microsoft does not deliver to: exit 3 in its words, and nothing half made stays', async () => {
    const linked = await createLinkedAzure({
      azure: { settings: { allowsLoopback: false } },
      link: ['--repo', `${strange}/api`],
    });
    const run = await regenerate(linked, ['--url', 'http://127.0.0.1:9/hook', '--allow-http']);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.json<WebhookDocument>().results[0]?.reason).toMatch(/url/i);
    expect(linked.azure.hooksOf('acme')).toEqual([]);
  });
});

describe('fact 8: a mask comes back instead of the secret', () => {
  test('fact 8: a rotation sends the new secret with all of it, keeps the ids, and never sends the mask', async () => {
    const linked = await createHooked();
    const { azure } = linked;
    const idsOf = () => strangeNames.flatMap((name) => hooksAt(azure, name).map(({ id }) => id)).sort();
    const [ids, before] = [idsOf(), await readSecret(linked)];
    const run = await regenerate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toEqual(
      Object.fromEntries(strangeNames.map((name) => [name, 'rotate confirmed'])),
    );
    expect(await expectAllOn(linked, strangeNames)).not.toBe(before);
    expect(idsOf()).toEqual(ids);
    const writes = azure.requests.filter(({ method, path }) => method !== 'GET' && hooksPath.test(path));
    expect(writes.map(({ method }) => method)).toEqual(ids.map(() => 'PUT'));
    expect(JSON.stringify(writes.map(({ body }) => body))).not.toContain('****');
  });

  test('--repair changes nothing that is right, and mends what is not with the same secret', async () => {
    const linked = await createHooked();
    const { azure } = linked;
    const secret = await readSecret(linked);
    expect(await regenerate(linked, ['--repair'])).toMatchObject({ exitCode: 0 });
    expect(azure.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
    const [first, second] = hooksAt(azure, strangeNames[0] ?? '');
    if (!first || !second) throw new Error('No hooks.');
    first.status = 'disabledBySystem';
    azure.state.subscriptions.splice(azure.state.subscriptions.indexOf(second), 1);
    const run = await regenerate(linked, ['--repair']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(await expectAllOn(linked, strangeNames)).toBe(secret);
  });

  test('one whose maker has left is made anew, and the dead one goes', async () => {
    const linked = await createHooked();
    for (const hook of hooksAt(linked.azure, strangeNames[0] ?? ''))
      hook.status = 'disabledByInactiveIdentity';
    const run = await regenerate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    await expectAllOn(linked, strangeNames);
  });

  test('a webhook of somebody else at the same address is adopted, at another one left alone', async () => {
    const linked = await createHooked();
    const { azure } = linked;
    const [name = ''] = strangeNames;
    const inputs = hooksAt(azure, name)[0]?.consumerInputs ?? {};
    for (const hook of hooksAt(azure, name)) {
      hook.consumerInputs = {
        ...inputs,
        basicAuthUsername: 'jenkins',
        basicAuthPassword: 'canary-of-jenkins',
      };
    }
    const [push] = hooksAt(azure, name).filter(({ eventType }) => eventType === 'git.push');
    const other = { ...inputs, url: 'https://jenkins.acme.example/', basicAuthPassword: 'canary-of-others' };
    const foreign = addForeign(azure, push, { consumerInputs: other });
    const run = await regenerate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(azure.state.subscriptions).toContain(foreign);
    expect(azure.secretOf(foreign.id)).toBe('canary-of-others');
    azure.state.subscriptions.splice(azure.state.subscriptions.indexOf(foreign), 1);
    await expectAllOn(linked, strangeNames);
  });

  test('with a hidden setting of its own it is refused, and stays as it is', async () => {
    const linked = await createHooked();
    const { azure } = linked;
    const [name = ''] = strangeNames;
    for (const hook of hooksAt(azure, name)) {
      hook.consumerInputs = {
        ...hook.consumerInputs,
        basicAuthUsername: 'jenkins',
        basicAuthPassword: 'canary-of-jenkins',
        httpHeaders: 'X-Key:********',
      };
    }
    const run = await regenerate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.stdout).toContain('hidden setting');
    for (const { secret } of summarise(hooksAt(azure, name))) expect(secret).toBe('canary-of-jenkins');
    expect(hooksAt(azure, name)).toHaveLength(usualEvents.length);
  });

  test('--remove and unlink take all of it away, and leave what is not gitlink’s', async () => {
    const linked = await createHooked();
    const { azure } = linked;
    const [push] = hooksAt(azure, strangeNames[1] ?? '');
    const inputs = { ...push?.consumerInputs, basicAuthUsername: 'jenkins', url: 'https://j.example/' };
    const foreign = addForeign(azure, push, { consumerInputs: inputs });
    const run = await regenerate(linked, ['--remove', '--repo', strangeNames[0] ?? '']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(hooksAt(azure, strangeNames[0] ?? '')).toEqual([]);
    expect(hooksAt(azure, strangeNames[1] ?? '')).toHaveLength(usualEvents.length + 1);
    const unlinked = await linked.sandbox.run(['unlink', '--yes', '--json']);
    expect(unlinked, unlinked.stderr).toMatchObject({ exitCode: 0 });
    expect(azure.hooksOf('acme')).toEqual([foreign]);
  });
});

describe('--at namespace: one for all repositories of a project', () => {
  test('a project with a space and other letters: made, rotated, and taken away by unlink', async () => {
    const linked = await createLinkedAzure({ link: ['--namespace', strange] });
    const { azure } = linked;
    const flags = ['--url', receiverUrl, '--at', 'namespace', '--namespace', strange];
    const run = await regenerate(linked, flags);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    expect(outcomesOf(run)).toEqual({ [strange]: 'create confirmed' });
    const secret = expectOneEach(azure.hooksOf(strange), usualEvents, receiverUrl);
    expect(secret).toBe(await readSecret(linked));
    expect(azure.hooksOf(strange).every(({ publisherInputs }) => !publisherInputs['repository'])).toBe(true);
    const again = await regenerate(linked);
    expect(again, again.stderr).toMatchObject({ exitCode: 0 });
    expect(expectOneEach(azure.hooksOf(strange), usualEvents, receiverUrl)).not.toBe(secret);
    const unlinked = await linked.sandbox.run(['unlink', '--yes', '--json']);
    expect(unlinked, unlinked.stderr).toMatchObject({ exitCode: 0 });
    expect(azure.hooksOf('acme')).toEqual([]);
  });

  test('fact 7: beside one of a repository it would deliver everything twice: refused with the way out', async () => {
    const linked = await createHooked();
    const { azure } = linked;
    const before = summarise(azure.hooksOf('acme'));
    const run = await regenerate(linked, ['--at', 'namespace', '--namespace', strange]);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.stdout).toContain('twice');
    expect(summarise(azure.hooksOf('acme')).map(({ eventType }) => eventType)).toEqual(
      before.map(({ eventType }) => eventType),
    );
    const removed = await regenerate(linked, ['--remove', '--at', 'repositories']);
    expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
    const done = await regenerate(linked, [
      '--url',
      receiverUrl,
      '--at',
      'namespace',
      '--namespace',
      strange,
    ]);
    expect(done, done.stderr).toMatchObject({ exitCode: 0 });
    expectOneEach(azure.hooksOf('acme'), usualEvents, receiverUrl);
  });

  test('fact 7: and the other way round', async () => {
    const linked = await createLinkedAzure({ link: ['--namespace', strange] });
    const flags = ['--url', receiverUrl, '--at', 'namespace', '--namespace', strange];
    expect(await regenerate(linked, flags)).toMatchObject({ exitCode: 0 });
    const run = await regenerate(linked, ['--url', receiverUrl, '--at', 'repositories']);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.stdout).toContain('twice');
    expect(linked.azure.hooksOf('acme')).toHaveLength(usualEvents.length);
  });

  test('the whole organization has no webhooks: said, and nothing is made', async () => {
    const linked = await createLinkedAzure();
    const flags = ['--url', receiverUrl, '--at', 'namespace', '--namespace', 'acme'];
    const run = await regenerate(linked, flags);
    expect(run, run.stderr).toMatchObject({ exitCode: 5 });
    expect(run.stderr).toContain('does not reach a namespace acme');
    expect(linked.azure.hooksOf('acme')).toEqual([]);
  });
});

describe('duplicates', () => {
  test('one event twice at a repository is there once afterwards', async () => {
    const linked = await createHooked();
    const { azure } = linked;
    const [push] = hooksAt(azure, strangeNames[0] ?? '');
    addForeign(azure, push, {});
    const run = await regenerate(linked);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    await expectAllOn(linked, strangeNames);
  });
});

describe('answers that are lost', () => {
  const losses: readonly (readonly [string, string, Fault])[] = [
    ['POST', '503', { kind: 'answer', answer: { status: 503, text: 'busy' } }],
    ['POST', 'cut', { kind: 'cut' }],
    ['POST', 'lost', { kind: 'lost' }],
    ['POST', 'broken JSON', { kind: 'broken-json' }],
    ['POST', 'a page', { kind: 'html', status: 504 }],
    ['PUT', '503', { kind: 'answer', answer: { status: 503, text: 'busy' } }],
    ['PUT', 'cut', { kind: 'cut' }],
    ['PUT', 'lost', { kind: 'lost' }],
    ['PUT', 'broken JSON', { kind: 'broken-json' }],
    ['DELETE', 'lost', { kind: 'lost' }],
  ];

  test.each(losses)(
    '%s, %s: one subscription for each event on the new secret',
    async (method, _name, fault) => {
      const linked =
        method === 'POST'
          ? await createLinkedAzure({ link: ['--namespace', strange] })
          : await createHooked();
      const { azure, sandbox } = linked;
      // The second of them, so that the first is done already.
      azure.faults.add({ method, path: hooksPath, fault, skip: 1, times: 1 });
      const events = method === 'DELETE' ? ['git.push'] : usualEvents;
      const wish = method === 'DELETE' ? ['--events', 'push'] : [];
      const env = hurry(sandbox);
      const run = await regenerate(linked, ['--url', receiverUrl, ...wish], { env });
      expect([0, 3]).toContain(run.exitCode);
      if (run.exitCode === 3) {
        const next = await regenerate(linked, wish, { env });
        expect(next, next.stdout + next.stderr).toMatchObject({ exitCode: 0 });
      }
      await expectAllOn(linked, strangeNames, events);
    },
  );

  test('a fifth of all changes meets something, and three runs bring all to one secret', async () => {
    const linked = await createLinkedAzure({
      link: ['--namespace', strange, '--namespace', 'acme/Platform'],
    });
    const { azure, sandbox } = linked;
    const env = hurry(sandbox);
    for (const fault of [
      { kind: 'answer', answer: { status: 500, text: 'no' } },
      { kind: 'lost' },
      { kind: 'cut' },
    ] as const) {
      azure.faults.add({ method: 'POST', path: hooksPath, fault, probability: 0.07 });
      azure.faults.add({ method: 'PUT', path: hooksPath, fault, probability: 0.07 });
    }
    for (let times = 0; times < 2; times += 1) {
      const run = await regenerate(linked, ['--url', receiverUrl], { env });
      expect([0, 3]).toContain(run.exitCode);
    }
    azure.faults.clear();
    const run = await regenerate(linked, ['--url', receiverUrl], { env });
    expect(run, run.stdout).toMatchObject({ exitCode: 0 });
    await expectAllOn(linked, [...strangeNames, 'acme/Platform/api', 'acme/Platform/gateway']);
  });

  test('429 in the middle is waited for', async () => {
    const linked = await createLinkedAzure({ link: ['--namespace', strange] });
    const answer = { status: 429, headers: { 'retry-after': '2' }, text: 'TF400733: canceled' };
    linked.azure.faults.add({ fault: { kind: 'answer', answer }, path: hooksPath, skip: 2, times: 2 });
    const run = await regenerate(linked, ['--url', receiverUrl], { env: hurry(linked.sandbox) });
    expect(run, run.stdout + run.stderr).toMatchObject({ exitCode: 0 });
    await expectAllOn(linked, strangeNames);
  });

  test('a token that dies in the middle: exit 4, and with a new one the run goes on with the same secret', async () => {
    const linked = await createLinkedAzure({ link: ['--namespace', strange] });
    const { azure, sandbox } = linked;
    const answer = { status: 203, text: '<html>Sign In</html>', contentType: 'text/html' };
    const heal = azure.faults.add({
      fault: { kind: 'answer', answer },
      method: 'POST',
      path: hooksPath,
      skip: 2,
    });
    const run = await regenerate(linked, ['--url', receiverUrl, '--concurrency', '1']);
    expect(run, run.stderr).toMatchObject({ exitCode: 4 });
    heal();
    const secret = await readSecret(linked);
    const { secret: fresh } = azure.addToken();
    const relinked = await sandbox.run(['relink', '--with-token'], { input: fresh });
    expect(relinked, relinked.stderr).toMatchObject({ exitCode: 0 });
    const next = await regenerate(linked);
    expect(next, next.stdout + next.stderr).toMatchObject({ exitCode: 0 });
    expect(await expectAllOn(linked, strangeNames)).toBe(secret);
  });

  test.each(['POST', 'PUT'])(
    'kill -9 at the third %s: the next run goes on with the same secret and makes no duplicate',
    async (method) => {
      const linked =
        method === 'POST'
          ? await createLinkedAzure({ link: ['--namespace', strange] })
          : await createHooked();
      const { azure } = linked;
      azure.clearRequests();
      const countWrites = () =>
        azure.requests.filter((sent) => sent.method === method && hooksPath.test(sent.path)).length;
      azure.faults.add({ method, path: hooksPath, fault: { kind: 'slow', delayMs: 150 } });
      let child: RunningProcess | undefined;
      const running = regenerate(linked, ['--url', receiverUrl, '--concurrency', '1'], {
        onStart: (started) => (child = started),
      });
      await until(() => countWrites() >= 3);
      child?.kill('SIGKILL');
      expect(await running).toMatchObject({ signal: 'SIGKILL' });
      azure.faults.clear();
      const secret = await readSecret(linked);
      const run = await regenerate(linked, ['--url', receiverUrl]);
      expect(run, run.stdout + run.stderr).toMatchObject({ exitCode: 0 });
      expect(await expectAllOn(linked, strangeNames)).toBe(secret);
    },
  );
});

describe('--verify', () => {
  test('a test delivery, read back', async () => {
    const receiver = await startReceiver();
    const linked = await createLinkedAzure({ link: ['--repo', `${strange}/api`] });
    const run = await regenerate(linked, ['--url', receiver.url, '--allow-http', '--verify']);
    expect(run, run.stdout + run.stderr).toMatchObject({ exitCode: 0 });
    expect(receiver.received.length).toBeGreaterThan(0);
  });

  test('a receiver that refuses: exit 3 with its status', async () => {
    const receiver = await startReceiver();
    const linked = await createLinkedAzure({ link: ['--repo', `${strange}/api`] });
    await receiver.close();
    const run = await regenerate(linked, ['--url', receiver.url, '--allow-http', '--verify']);
    expect(run, run.stderr).toMatchObject({ exitCode: 3 });
    expect(run.json<WebhookDocument>().results[0]?.reason).toContain('receiver');
  });
});

test('a member who may edit but not view is shown shorter lists: no webhook is made a second time', async () => {
  const linked = await createHooked();
  const { azure, sandbox } = linked;
  const bob = requireUser(azure.state, 'bob');
  const project = requireProject(azure.state, strange);
  project.roles.set(bob.id, 'contributor');
  project.hookRights.set(bob.id, 2);
  const { secret } = azure.addToken({ user: 'bob' });
  const relinked = await sandbox.run(['relink', '--with-token', '--allow-account-change'], { input: secret });
  expect(relinked, relinked.stderr).toMatchObject({ exitCode: 0 });
  await regenerate(linked);
  for (const name of strangeNames) expect(hooksAt(azure, name)).toHaveLength(usualEvents.length);
});

test('Azure DevOps Server: made, rotated and removed at a version of before 7.0', async () => {
  const linked = await createLinkedServer({ link: ['--namespace', 'DefaultCollection/Straße Süd'] });
  const names = ['api', 'werk zeug'].map((name) => `DefaultCollection/Straße Süd/${name}`);
  expect(await regenerate(linked, ['--url', receiverUrl])).toMatchObject({ exitCode: 0 });
  const before = await expectAllOn(linked, names);
  expect(await regenerate(linked)).toMatchObject({ exitCode: 0 });
  expect(await expectAllOn(linked, names)).not.toBe(before);
  expect(await regenerate(linked, ['--remove'])).toMatchObject({ exitCode: 0 });
  expect(linked.azure.hooksOf('DefaultCollection')).toEqual([]);
});
