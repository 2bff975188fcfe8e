import { describe, expect, test } from 'vitest';
import { ForbiddenError, UnreachableError } from '../../src/errors.ts';
import { HostAnswerError } from '../../src/http/host-answer-error.ts';
import type { HostAccess } from '../../src/providers/provider.ts';
import type { WebhookPlace } from '../../src/providers/webhook-support.ts';
import { Secret } from '../../src/secret.ts';
import { startServer } from '../http/http-kit.ts';
import type { AzureDevopsSubscription } from '../simulators/azure-devops/hook-state.ts';
import type { AzureDevopsSimulator } from '../simulators/azure-devops/server.ts';
import { requireProject, requireRepository } from '../simulators/azure-devops/state.ts';
import { admin, hooksAt, linkAzureDevops, listRequests, placeOf, strangeName } from './azure-devops-kit.ts';

const url = 'https://ci.acme.example/hook';
const first = new Secret('ab'.repeat(32));
const second = new Secret('cd'.repeat(32));
const pushAndPulls = ['git.push', 'git.pullrequest.created', 'git.pullrequest.updated'];

function want(secret: Secret | null, events: readonly string[] = pushAndPulls, target = url) {
  return { url: target, events, secret, successorOf: null };
}

function secretsAt(azure: AzureDevopsSimulator, fullName = strangeName) {
  return hooksAt(azure, fullName).map(({ id, eventType }) => [eventType, azure.secretOf(id)]);
}

/** The only hook at a place. */
async function only(access: HostAccess, place: WebhookPlace) {
  const [hook, ...others] = await admin.list(access, place);
  if (!hook || others.length > 0) throw new Error(`There are ${others.length + (hook ? 1 : 0)} hooks.`);
  return hook;
}

/** A hook that somebody made by hand. */
function addForeign(
  azure: AzureDevopsSimulator,
  fullName: string,
  more: Partial<AzureDevopsSubscription> & { readonly inputs?: Readonly<Record<string, string>> } = {},
): AzureDevopsSubscription {
  const { guid, project } = requireRepository(azure.state, fullName);
  const [user] = azure.state.users;
  if (!user) throw new Error('There is nobody.');
  const { inputs = {}, ...rest } = more;
  const made: AzureDevopsSubscription = {
    id: azure.state.makeGuid('foreign', azure.state.nextId()),
    organization: project.organization,
    project,
    eventType: 'git.push',
    resourceVersion: '1.0',
    publisherInputs: { projectId: project.id, repository: guid, branch: '' },
    consumerInputs: { url, basicAuthUsername: 'bob', basicAuthPassword: 'bobs-canary', ...inputs },
    status: 'enabled',
    createdBy: user,
    createdAt: 0,
    modifiedBy: user,
    modifiedAt: 0,
    lastSuccessAt: null,
    failuresInRow: 0,
    notifications: [],
    ...rest,
  };
  azure.state.subscriptions.push(made);
  return made;
}

/** The same way to the host for another command, which remembers nothing. */
function forget(access: HostAccess): HostAccess {
  return { ...access, http: { ...access.http } };
}

async function linkWithPlace(fullName = strangeName) {
  const linked = await linkAzureDevops();
  const place = await placeOf(linked.access, fullName);
  return { ...linked, place };
}

describe('one webhook of several events', () => {
  test('consists of a subscription for each, all with the secret as password', async () => {
    const { access, azure, place } = await linkWithPlace();
    const hook = await admin.create(access, place, want(first));
    const made = hooksAt(azure, strangeName);
    expect(hook).toMatchObject({
      id: made
        .map(({ id }) => id)
        .sort()
        .join('+'),
      url,
      events: [...pushAndPulls].sort(),
      active: true,
    });
    expect(secretsAt(azure)).toEqual(pushAndPulls.map((event) => [event, first.reveal()]));
    expect(await admin.list(access, place)).toEqual([hook]);
    expect(admin.isMarked(access, hook)).toBe(true);
    expect(made[0]?.consumerInputs).toMatchObject({
      basicAuthUsername: 'gitlink',
      acceptUntrustedCerts: 'false',
    });
  });

  test('a project with a space and letters outside ASCII goes by its id', async () => {
    const { access, azure, place } = await linkWithPlace();
    await admin.create(access, place, want(first, ['git.push']));
    const { guid, project } = requireRepository(azure.state, strangeName);
    expect(hooksAt(azure, strangeName)[0]?.publisherInputs).toEqual({
      projectId: project.id,
      repository: guid,
    });
    expect(admin.pageUrl(azure.url, 'repository', strangeName)).toBe(
      `${azure.url}/acme/Stra%C3%9Fe%20S%C3%BCd/_settings/serviceHooks`,
    );
  });

  test('the same event for push and tag is one subscription', async () => {
    const { access, azure, place } = await linkWithPlace();
    const events = [...(admin.events.push ?? []), ...(admin.events.tag ?? [])];
    await admin.create(access, place, want(first, events));
    expect(hooksAt(azure, strangeName)).toHaveLength(1);
  });

  test('a rotation gives the new secret to all and keeps their ids; a masked value never goes back', async () => {
    const { access, azure, place } = await linkWithPlace();
    const hook = await admin.create(access, place, want(first));
    const rotated = await admin.update(access, place, await only(access, place), want(second));
    expect(rotated).toEqual(hook);
    expect(secretsAt(azure)).toEqual(pushAndPulls.map((event) => [event, second.reveal()]));
    // The simulator fails the test for a mask that is sent.
    expect(listRequests(azure, 'PUT', '/hooks/')).toHaveLength(3);
  });

  test('an event more is made, an event less is taken away, with the secret of all', async () => {
    const { access, azure, place } = await linkWithPlace();
    const hook = await admin.create(access, place, want(first));
    const events = ['git.push', 'ms.vss-code.git-pullrequest-comment-event'];
    const changed = await admin.update(access, place, hook, want(second, events));
    expect(changed.events).toEqual([...events].sort());
    expect(secretsAt(azure)).toEqual(events.map((event) => [event, second.reveal()]));
    expect(await admin.list(access, place)).toEqual([changed]);
  });

  test('an event that is there twice is there once afterwards', async () => {
    const { access, azure, place } = await linkWithPlace();
    addForeign(azure, strangeName, { inputs: { basicAuthUsername: 'gitlink' } });
    addForeign(azure, strangeName, { inputs: { basicAuthUsername: 'gitlink' }, status: 'disabledBySystem' });
    const hook = await only(access, place);
    expect(hook.active).toBe(false);
    await admin.update(access, place, hook, want(first, ['git.push']));
    expect(secretsAt(azure)).toEqual([['git.push', first.reveal()]]);
  });

  test('what is right is left alone without the secret, and nothing is written without it', async () => {
    const { access, azure, place, session } = await linkWithPlace();
    const hook = await admin.create(access, place, want(first));
    azure.clearRequests();
    expect(await admin.update(access, place, hook, want(null))).toEqual(hook);
    for (const wish of [
      want(null, [...pushAndPulls, 'git.pullrequest.merged']),
      want(null, pushAndPulls, `${url}2`),
    ]) {
      expect(await session.fail(admin.update(access, place, hook, wish))).toBeInstanceOf(ForbiddenError);
    }
    expect(azure.requests).toEqual([]);
    expect(secretsAt(azure)).toEqual(pushAndPulls.map((event) => [event, first.reveal()]));
    expect(admin.forgetsSecret).toBe(true);
  });

  test('the list of all is asked for once, whatever the number of repositories and changes', async () => {
    const { access, azure } = await linkAzureDevops();
    const places = await Promise.all(
      ['acme/Platform/api', 'acme/Platform/gateway', strangeName].map((name) => placeOf(access, name)),
    );
    azure.clearRequests();
    await Promise.all(places.map((place) => admin.list(access, place)));
    for (const place of places) await admin.create(access, place, want(first));
    for (const place of places) await admin.remove(access, place, (await only(access, place)).id);
    for (const place of places) expect(await admin.list(access, place)).toEqual([]);
    expect(listRequests(azure, 'GET', '/hooks/')).toHaveLength(1);
  });

  test('a change whose answer was lost has the list asked for again', async () => {
    const { access, azure, place, session } = await linkWithPlace();
    expect(await admin.list(access, place)).toEqual([]);
    const end = azure.faults.add({ fault: { kind: 'lost' }, method: 'POST' });
    const error = await session.fail(admin.create(access, place, want(first)));
    expect(error).toBeInstanceOf(UnreachableError);
    end();
    const made = await only(access, place);
    expect(made.events).toEqual(['git.push']);
    // What the operation does then: the rest is made, and all get the secret.
    const whole = await admin.update(access, place, made, want(second));
    expect(whole.events).toEqual([...pushAndPulls].sort());
    expect(secretsAt(azure)).toEqual(pushAndPulls.map((event) => [event, second.reveal()]));
  });

  test('a list that could not be read is asked for again', async () => {
    const { access, azure, place, session } = await linkWithPlace();
    const answer = { status: 403, json: { typeKey: 'X', message: 'no' } };
    const end = azure.faults.add({ path: /subscriptions/, fault: { kind: 'answer', answer } });
    expect(await session.fail(admin.list(access, place))).toBeInstanceOf(HostAnswerError);
    end();
    expect(await admin.list(access, place)).toEqual([]);
  });

  test('what was made before a refusal is taken back, and the refusal names the event', async () => {
    const { access, azure, place, session } = await linkWithPlace();
    const wish = want(first, ['git.push', 'native.of-nobody']);
    const error = await session.fail(admin.create(access, place, wish));
    expect(error.message).toContain('native.of-nobody');
    expect(hooksAt(azure, strangeName)).toEqual([]);
    expect(await admin.list(access, place)).toEqual([]);
  });

  test('an address that Microsoft does not deliver to is refused in its words', async () => {
    const { access, azure, place, session } = await linkWithPlace();
    azure.settings.allowsLoopback = false;
    const wish = want(first, ['git.push'], 'https://127.0.0.1:9/hook');
    const error = await session.fail(admin.create(access, place, wish));
    expect(error).toBeInstanceOf(HostAnswerError);
    expect(error.message).toContain('local or special address');
  });

  test('removing takes all of it; of what is partly gone the rest', async () => {
    const { access, azure, place } = await linkWithPlace();
    const hook = await admin.create(access, place, want(first));
    const [one] = hooksAt(azure, strangeName);
    azure.state.subscriptions.splice(azure.state.subscriptions.indexOf(one as AzureDevopsSubscription), 1);
    expect(await admin.remove(access, place, hook.id)).toBe('removed');
    expect(hooksAt(azure, strangeName)).toEqual([]);
    expect(await admin.remove(access, place, hook.id)).toBe('gone');
  });
});

describe('disabled', () => {
  test.each([
    ['enabled', true],
    ['onProbation', true],
    ['disabledByUser', false],
    ['disabledBySystem', false],
    ['disabledByInactiveIdentity', false],
  ] as const)('%s delivers: %s', async (status, active) => {
    const { access, azure, place } = await linkWithPlace();
    await admin.create(access, place, want(first, ['git.push']));
    for (const hook of hooksAt(azure, strangeName)) hook.status = status;
    expect((await only(forget(access), place)).active).toBe(active);
  });

  test('is enabled by a change', async () => {
    const { access, azure, place } = await linkWithPlace();
    const made = addForeign(azure, strangeName, {
      inputs: { basicAuthUsername: 'gitlink' },
      status: 'disabledBySystem',
    });
    const changed = await admin.update(access, place, await only(access, place), want(first, ['git.push']));
    expect(changed).toMatchObject({ id: made.id, active: true });
    expect(made.status).toBe('enabled');
  });

  test('and stays so whatever is sent: it is made anew', async () => {
    const { access, azure, place } = await linkWithPlace();
    const made = addForeign(azure, strangeName, {
      inputs: { basicAuthUsername: 'gitlink' },
      status: 'disabledBySystem',
    });
    const { id, eventType, publisherInputs, status } = made;
    const json = { id, eventType, publisherInputs, status, consumerInputs: { url } };
    azure.faults.add({ method: 'PUT', fault: { kind: 'answer', answer: { status: 200, json } } });
    const changed = await admin.update(access, place, await only(access, place), want(first, ['git.push']));
    expect(changed.active).toBe(true);
    expect(secretsAt(azure)).toEqual([['git.push', first.reveal()]]);
  });

  test('because its maker has left: it is made anew, then the old one goes', async () => {
    const { access, azure, place } = await linkWithPlace();
    const made = addForeign(azure, strangeName, {
      inputs: { basicAuthUsername: 'gitlink' },
      status: 'disabledByInactiveIdentity',
    });
    azure.clearRequests();
    const changed = await admin.update(access, place, await only(access, place), want(first, ['git.push']));
    expect(changed.active).toBe(true);
    expect(changed.id).not.toBe(made.id);
    expect(secretsAt(azure)).toEqual([['git.push', first.reveal()]]);
    const writes = azure.requests.map(({ method }) => method).filter((method) => method !== 'GET');
    expect(writes).toEqual(['POST', 'DELETE']);
  });
});

describe('made by somebody else', () => {
  test('is another webhook, and adopting it takes over the wanted events alone', async () => {
    const { access, azure, place } = await linkWithPlace();
    addForeign(azure, strangeName, { inputs: { resourceDetailsToSend: 'minimal' } });
    const other = addForeign(azure, strangeName, { eventType: 'git.repo.renamed' });
    const foreign = await only(access, place);
    expect(admin.isMarked(access, foreign)).toBe(false);
    const adopted = await admin.update(access, place, foreign, want(first, ['git.push']));
    expect(admin.isMarked(access, adopted)).toBe(true);
    const [push] = hooksAt(azure, strangeName);
    expect(push?.consumerInputs).toMatchObject({
      basicAuthUsername: 'gitlink',
      basicAuthPassword: first.reveal(),
      resourceDetailsToSend: 'minimal',
    });
    expect(other.consumerInputs['basicAuthPassword']).toBe('bobs-canary');
    expect(await admin.list(access, place)).toHaveLength(2);
  });

  test('keeps what narrows it', async () => {
    const { access, azure, place } = await linkWithPlace();
    const { guid, project } = requireRepository(azure.state, strangeName);
    const publisherInputs = { projectId: project.id, repository: guid, branch: 'main' };
    addForeign(azure, strangeName, { publisherInputs });
    await admin.update(access, place, await only(access, place), want(first, ['git.push']));
    expect(hooksAt(azure, strangeName)[0]?.publisherInputs).toEqual(publisherInputs);
  });

  test('with a hidden setting is refused: a mask that is written back becomes the value', async () => {
    const { access, azure, place, session } = await linkWithPlace();
    addForeign(azure, strangeName, { inputs: { httpHeaders: 'X-Key:********' } });
    const foreign = await only(access, place);
    azure.clearRequests();
    const error = await session.fail(admin.update(access, place, foreign, want(first, ['git.push'])));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain('httpHeaders');
    expect(azure.requests).toEqual([]);
  });
});

describe('of a whole project', () => {
  const project = { level: 'namespace', namespace: 'acme/Straße Süd' } as const;

  test('is one webhook for all its repositories, and none of theirs', async () => {
    const { access, azure, place } = await linkWithPlace();
    const hook = await admin.create(access, project, want(first));
    expect(azure.hooksOf('acme/Straße Süd')).toHaveLength(3);
    for (const { publisherInputs } of azure.hooksOf('acme/Straße Süd')) {
      expect(publisherInputs).toEqual({ projectId: requireProject(azure.state, 'acme/Straße Süd').id });
    }
    expect(await admin.list(access, project)).toEqual([hook]);
    expect(await admin.list(access, place)).toEqual([]);
    await admin.create(access, place, want(first, ['git.push'], `${url}/other`));
    expect(await admin.list(access, project)).toEqual([hook]);
    expect(await admin.list(access, { level: 'namespace', namespace: 'acme/Platform' })).toEqual([]);
    expect(await admin.remove(access, project, hook.id)).toBe('removed');
  });

  test('kodus-ai#1955: a repository beside it would have every event delivered twice', async () => {
    const { access, azure, place, session } = await linkWithPlace();
    await admin.create(access, project, want(first, ['git.push']));
    const error = await session.fail(admin.create(access, place, want(second)));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain('the whole project');
    expect(hooksAt(azure, strangeName)).toEqual([]);
    // One that does not deliver, another address, and other events are other things.
    for (const each of azure.hooksOf('acme/Straße Süd')) each.status = 'disabledByUser';
    const away = await admin.create(forget(access), place, want(second, ['git.push']));
    await admin.remove(access, place, away.id);
    for (const each of azure.hooksOf('acme/Straße Süd')) each.status = 'enabled';
    await admin.create(access, place, want(second, pushAndPulls, `${url}/other`));
    await admin.create(access, place, want(second, ['git.pullrequest.created']));
    await admin.create(access, await placeOf(access, 'acme/Platform/api'), want(second));
  });

  test('and the other way round', async () => {
    const { access, azure, place, session } = await linkWithPlace();
    const one = await admin.create(access, place, want(first, ['git.push']));
    const two = addForeign(azure, 'acme/Straße Süd/werk zeug');
    const fresh = forget(access);
    const error = await session.fail(admin.create(fresh, project, want(second)));
    expect(error.message).toContain('2 repositories of this project');
    await admin.remove(fresh, place, one.id);
    azure.state.subscriptions.splice(azure.state.subscriptions.indexOf(two), 1);
    expect(await admin.create(forget(access), project, want(second))).toBeDefined();
  });

  test('is refused where the account is shown none of them', async () => {
    const { azure, session } = await linkAzureDevops();
    const access = await session.link(azure.url, azure.addToken({ user: 'bob' }).secret);
    for (const namespace of ['acme/Platform', 'acme', 'acme-labs/Lab', 'acme/Secret plans']) {
      const error = await session.fail(admin.list(access, { level: 'namespace', namespace }));
      expect(error, namespace).toBeInstanceOf(ForbiddenError);
    }
  });
});

describe('a test delivery', () => {
  test.each([
    [200, { outcome: 'delivered' }],
    [500, { outcome: 'failed', reason: 'the receiver answered 500' }],
  ] as const)('answered with %s', async (status, expected) => {
    const { access, azure, place } = await linkWithPlace();
    const receiver = await startServer((_request, response) => response.writeHead(status).end());
    const hook = await admin.create(access, place, want(first, pushAndPulls, `${receiver.base}/hook`));
    expect(await admin.test?.(access, place, hook.id)).toEqual(expected);
    azure.settings.queuesTests = true;
    const queued = await admin.test?.(access, place, hook.id);
    expect([{ outcome: 'sent' }, expected]).toContainEqual(queued);
    await azure.settle();
  });

  test('that reaches nobody, and of a webhook that is gone', async () => {
    const { access, place } = await linkWithPlace();
    const hook = await admin.create(access, place, want(first, ['git.push'], 'http://127.0.0.1:9/hook'));
    expect(await admin.test?.(access, place, hook.id)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('did not answer') as string,
    });
    await admin.remove(access, place, hook.id);
    expect(await admin.test?.(access, place, hook.id)).toEqual({
      outcome: 'failed',
      reason: 'the webhook is gone',
    });
  });
});
