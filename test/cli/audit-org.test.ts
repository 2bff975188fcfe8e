import { describe, expect, test } from 'vitest';
import {
  addHook as addDcHook,
  hooksAt as dcHooksAt,
  type DcHook,
} from '../simulators/bitbucket-dc/hook-state.ts';
import {
  requireProject as requireDcProject,
  requireRepository as requireDcRepository,
  requireUser as requireDcUser,
} from '../simulators/bitbucket-dc/state.ts';
import type { BitbucketDcSimulator } from '../simulators/bitbucket-dc/server.ts';
import { keyOf, type BitbucketHook } from '../simulators/bitbucket/hook-state.ts';
import {
  requireRepository as requireRepositoryOf,
  requireUser as requireUserOf,
  requireWorkspace,
} from '../simulators/bitbucket/state.ts';
import type { AzureDevopsSubscription } from '../simulators/azure-devops/hook-state.ts';
import type { AzureDevopsSimulator } from '../simulators/azure-devops/server.ts';
import { requireProject, requireRepository, requireUser } from '../simulators/azure-devops/state.ts';
import {
  createLinkedAzure,
  createLinkedServer,
  createSignedInAzure,
} from '../support/linked-azure-devops.ts';
import { createLinkedBitbucket, createLinkedDc, createSignedInDc } from '../support/linked-bitbucket.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';
import { receiverUrl } from './webhooks-kit.ts';

const dayMs = 86_400_000;

interface Finding {
  readonly severity: string;
  readonly code: string;
  readonly subject: string;
  readonly evidence: string;
  readonly fix: string;
}

async function auditOrg(
  sandbox: Sandbox,
  organization: string,
): Promise<{ run: Run; lines: readonly string[]; found: readonly Finding[] }> {
  const run = await sandbox.run(['audit', '--org', organization, '--json']);
  expect(run.exitCode, run.stdout + run.stderr).toBe(0);
  const { findings } = run.json<{ readonly findings: readonly Finding[] }>();
  const found = findings.filter(({ code }) => code.startsWith('connected-'));
  return {
    run,
    found,
    lines: found.map(
      ({ severity, code, subject, evidence }) => `${severity} ${code.slice(10)}: ${subject}: ${evidence}`,
    ),
  };
}

async function auditWebhooks(sandbox: Sandbox): Promise<readonly string[]> {
  const run = await sandbox.run(['audit', '--json']);
  expect(run.exitCode, run.stdout + run.stderr).toBe(0);
  const { findings } = run.json<{ readonly findings: readonly Finding[] }>();
  return findings
    .filter(({ code }) => code.startsWith('webhook'))
    .map(({ severity, code, evidence }) => `${severity} ${code}: ${evidence}`);
}

async function regenerate(sandbox: Sandbox, link: string): Promise<void> {
  const run = await sandbox.run(['regenerate-webhooks', link, '--url', receiverUrl]);
  expect(run, run.stderr).toMatchObject({ exitCode: 0 });
}

/** Adds a subscription as bob made it on the page. */
function subscribe(
  azure: AzureDevopsSimulator,
  changes: Partial<AzureDevopsSubscription> = {},
): AzureDevopsSubscription {
  const { state } = azure;
  const project = changes.project ?? requireProject(state, 'acme/Platform');
  const bob = requireUser(state, 'bob');
  const made: AzureDevopsSubscription = {
    id: state.makeGuid('audit', state.nextId()),
    organization: project.organization,
    project,
    eventType: 'git.push',
    resourceVersion: '1.0',
    publisherInputs: { projectId: project.id, repository: '', branch: '' },
    consumerInputs: { url: 'https://chat.acme.example/in?key=canary-of-chat' },
    status: 'enabled',
    createdBy: bob,
    createdAt: Date.now(),
    modifiedBy: bob,
    modifiedAt: Date.now(),
    lastSuccessAt: null,
    failuresInRow: 0,
    notifications: [],
    ...changes,
  };
  state.subscriptions.push(made);
  return made;
}

describe('audit --org of Azure DevOps', () => {
  test('service hooks with who made them and what became of them, own tokens for a sign-in', async () => {
    const { sandbox, azure } = await createSignedInAzure({ link: ['--for', 'admin'] });
    const bob = requireUser(azure.state, 'bob').account;
    const ada = requireUser(azure.state, 'ada').account;
    azure.addToken({ name: 'laptop', scopes: ['vso.code'], expiresAt: Date.now() + 3.5 * dayMs });
    azure.addToken({ name: 'not hers', user: 'bob' });
    subscribe(azure);
    subscribe(azure, { eventType: 'git.pullrequest.created' });
    subscribe(azure, { status: 'onProbation', consumerInputs: { url: 'https://slow.acme.example/' } });
    subscribe(azure, { status: 'disabledBySystem', consumerInputs: { url: 'https://dead.acme.example/' } });
    subscribe(azure, {
      status: 'disabledByInactiveIdentity',
      consumerInputs: { url: 'https://left.acme.example/' },
    });
    const { run, lines, found } = await auditOrg(sandbox, 'ACME');
    const end = new Date(Date.now() + 3.5 * dayMs).toISOString().slice(0, 10);
    expect(lines).toEqual([
      `warning personal-token: laptop of ${ada} at ${azure.url}: may vso.code; ends on ${end}, in 4 days`,
      `warning webhook: https://dead.acme.example/ in Platform of ${bob} at ${azure.url}: hears of git.push; switched off; by the host, after too many failed deliveries`,
      `warning webhook: https://left.acme.example/ in Platform of ${bob} at ${azure.url}: hears of git.push; switched off; whoever made it has no access any more`,
      `warning webhook: https://slow.acme.example/ in Platform of ${bob} at ${azure.url}: hears of git.push; deliveries failed, so that the host has it on probation`,
      `info webhook: https://chat.acme.example/in?… in Platform of ${bob} at ${azure.url}: hears of git.pullrequest.created, git.push`,
    ]);
    expect(found.map(({ fix }) => fix)).toEqual([
      `${azure.url}/acme/_usersettings/tokens`,
      ...[1, 2, 3, 4].map(() => `${azure.url}/acme/Platform/_settings/serviceHooks`),
    ]);
    expect(run.stderr).toContain('of ACME its credential does not see personal access tokens of others.');
    expect(run.stdout + run.stderr).not.toContain('canary-of-chat');
  });

  test('a token is shown the hooks that its owner may see, and what it is not shown is said', async () => {
    const { sandbox, azure } = await createLinkedAzure({ token: { user: 'bob' } });
    subscribe(azure);
    const none = await sandbox.run(['audit', '--org', 'acme', '--json']);
    expect(none).toMatchObject({ exitCode: 6 });
    expect(none.json()).toMatchObject({ error: { code: 'forbidden' } });
    const { hookRights } = requireProject(azure.state, 'acme/Platform');
    hookRights.set(requireUser(azure.state, 'bob').id, 1);
    const { run, lines } = await auditOrg(sandbox, 'acme');
    expect(lines).toHaveLength(1);
    expect(run.stderr).toContain(
      'of acme its credential does not see service hooks of 1 of 2 projects, personal access tokens.',
    );
  });

  test('another organization is exit 5; a server is asked alike', async () => {
    const { sandbox, azure } = await createLinkedAzure();
    expect(await sandbox.run(['audit', '--org', 'acme-labs'])).toMatchObject({ exitCode: 5 });
    expect(azure.requests.some(({ path }) => path.includes('acme-labs'))).toBe(false);
    const server = await createLinkedServer();
    subscribe(server.azure, { project: requireProject(server.azure.state, 'DefaultCollection/Platform') });
    const { lines } = await auditOrg(server.sandbox, 'DefaultCollection');
    expect(lines).toHaveLength(1);
  });
});

describe('audit of webhooks at Azure DevOps', () => {
  test('no secret, no TLS check, failing, an event gone, a twin, switched off', async () => {
    const { sandbox, azure } = await createLinkedAzure({ link: ['--repo', 'acme/Platform/api'] });
    await regenerate(sandbox, 'azure-devops');
    expect(await auditWebhooks(sandbox)).toEqual([]);
    const { guid } = requireRepository(azure.state, 'acme/Platform/api');
    const own = azure.state.subscriptions.filter(
      ({ publisherInputs }) => publisherInputs['repository'] === guid,
    );
    const [first, second] = own;
    if (!first || !second) throw new Error('There are no hooks.');
    const { basicAuthPassword, ...bare } = first.consumerInputs;
    sandbox.guard(basicAuthPassword ?? '');
    first.consumerInputs = { ...bare, acceptUntrustedCerts: 'true' };
    const failed = {
      subscriptionId: second.id,
      eventId: second.id,
      eventType: second.eventType,
      status: 'completed',
      request: '',
      errorMessage: null,
      consumerInputs: {},
      publisherInputs: {},
    } as const;
    second.notifications.push(
      { ...failed, id: 1, createdAt: Date.now(), result: 'succeeded', response: 'HTTP/1.1 200 OK' },
      { ...failed, id: 2, createdAt: Date.now() + 1000, result: 'failed', response: 'HTTP/1.1 503 No' },
    );
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-failing: the receiver answered 503 last',
      'error webhook-without-secret: the host has no secret for the hook',
      "warning webhook-without-tls-check: the host does not check the receiver's certificate",
    ]);
    first.consumerInputs = { ...bare, basicAuthPassword: basicAuthPassword ?? '' };
    azure.state.subscriptions.splice(azure.state.subscriptions.indexOf(second), 1);
    subscribe(azure, { publisherInputs: first.publisherInputs, consumerInputs: { url: receiverUrl } });
    expect(await auditWebhooks(sandbox)).toEqual([
      expect.stringMatching(/^error webhook-failing: 1 of its 3 events are not delivered any more$/),
      expect.stringMatching(/^warning webhook-duplicated: 2 hooks deliver to the same address/),
    ]);
    first.status = 'disabledBySystem';
    expect(await auditWebhooks(sandbox)).toContainEqual(expect.stringMatching(/^error webhook-disabled/));
    azure.state.subscriptions.length = 0;
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-missing: the hook that gitlink made is gone',
    ]);
  });
});

test('audit of webhooks at Azure DevOps: whoever may not see them any more is not told that they are gone', async () => {
  const { sandbox, azure } = await createLinkedAzure({
    token: { user: 'bob' },
    link: ['--repo', 'acme/Platform/api'],
  });
  const { hookRights } = requireProject(azure.state, 'acme/Platform');
  const { id } = requireUser(azure.state, 'bob');
  hookRights.set(id, 7);
  await regenerate(sandbox, 'azure-devops');
  hookRights.set(id, 0);
  expect(await auditWebhooks(sandbox)).toEqual([
    'warning webhook-hidden: its webhooks cannot be seen: the account may not manage the webhooks of this project',
  ]);
});

function hookOf(
  bitbucket: BitbucketDcSimulator,
  place: DcHook['place'],
  changes: Partial<DcHook['settings']> = {},
): DcHook {
  const hook: DcHook = {
    id: bitbucket.state.nextId('hook'),
    place,
    settings: {
      name: 'chat',
      url: 'https://chat.acme.example/in?key=canary-of-chat',
      active: true,
      events: ['repo:refs_changed'],
      configuration: {},
      credentials: null,
      sslVerificationRequired: true,
      ...changes,
    },
    createdAt: Date.now(),
    updatedAt: Date.now(),
    invocations: [],
    failures: 0,
    pauses: 0,
    skippedUntil: 0,
  };
  addDcHook(bitbucket.state, hook);
  return hook;
}

describe('audit --org of Bitbucket Data Center', () => {
  function seed(bitbucket: BitbucketDcSimulator): void {
    const { state } = bitbucket;
    hookOf(bitbucket, { level: 'project', project: requireDcProject(state, 'ACME') });
    hookOf(
      bitbucket,
      { level: 'repository', repository: requireDcRepository(state, 'ACME/api') },
      { active: false },
    );
    bitbucket.addToken({ kind: 'project', resource: 'ACME', name: 'deployer', expiryDays: 200 });
    bitbucket.addToken({
      kind: 'repository',
      resource: 'ACME/api',
      name: 'old-ci',
      permissions: ['REPO_READ'],
      expiryDays: 5,
    });
    bitbucket.addToken({ user: 'bob', name: 'laptop', permissions: ['REPO_READ'], expiryDays: 300 });
  }

  test('a project, its repositories and the people in it, for an administrator of the system', async () => {
    const scopes = ['SYSTEM_ADMIN'];
    const link = ['--scope', 'SYSTEM_ADMIN', '--namespace', 'ACME'];
    const { sandbox, bitbucket } = await createSignedInDc({ scopes, link });
    Object.assign(requireDcUser(bitbucket.state, 'ada'), { isSystemAdmin: true });
    seed(bitbucket);
    const { run, lines, found } = await auditOrg(sandbox, 'acme');
    const at = bitbucket.url;
    const end = new Date(Date.now() + 5 * dayMs).toISOString().slice(0, 10);
    expect(lines).toEqual([
      `warning project-token: old-ci of ACME/api at ${at}: may REPO_READ; ends on ${end}, in 5 days; never used`,
      `warning webhook: chat https://chat.acme.example/in?… of ACME/api at ${at}: hears of repo:refs_changed; switched off`,
      `info personal-token: laptop of bob at ${at}: may REPO_READ; never used`,
      `info project-token: deployer of ACME at ${at}: may PROJECT_ADMIN, REPO_ADMIN; never used`,
      `info webhook: chat https://chat.acme.example/in?… of ACME at ${at}: hears of repo:refs_changed`,
    ]);
    expect(found.map(({ fix }) => fix.slice(at.length))).toEqual([
      '/projects/ACME/repos/api/settings',
      '/plugins/servlet/webhooks/projects/ACME/repos/api',
      '/plugins/servlet/access-tokens/users/bob/manage',
      '/projects/ACME/settings',
      '/plugins/servlet/webhooks/projects/ACME',
    ]);
    expect(run.stderr).not.toContain('does not see');
    expect(run.stdout + run.stderr).not.toContain('canary-of-chat');
  });

  test('what a token, or an administrator of a project alone, is not shown is said', async () => {
    const { sandbox, bitbucket } = await createLinkedDc();
    seed(bitbucket);
    const { run, lines } = await auditOrg(sandbox, 'ACME');
    expect(lines.map((line) => line.split(':')[0])).toEqual(['warning webhook', 'info webhook']);
    expect(run.stderr).toContain(
      'of ACME its credential does not see tokens of the project, tokens of its repositories, personal tokens of others.',
    );
    // No token may, so that it is not asked for each repository.
    expect(bitbucket.requests.filter(({ path }) => path.includes('/access-tokens/'))).toEqual([]);
    const link = ['--scope', 'ACCOUNT_WRITE', '--scope', 'PROJECT_ADMIN'];
    const person = await createSignedInDc({ scopes: ['ACCOUNT_WRITE', 'PROJECT_ADMIN'], link });
    seed(person.bitbucket);
    const shown = await auditOrg(person.sandbox, 'ACME');
    expect(shown.lines.map((line) => line.split(':')[0])).toEqual([
      'warning project-token',
      'warning webhook',
      'info project-token',
      'info webhook',
    ]);
    expect(shown.run.stderr).toContain('of ACME its credential does not see personal tokens of others.');
  });

  test('a project that is not there is exit 5, one whose settings are hidden exit 6', async () => {
    const { sandbox } = await createLinkedDc({ token: { user: 'bob' } });
    expect(await sandbox.run(['audit', '--org', 'NOWHERE'])).toMatchObject({ exitCode: 5 });
    const hidden = await sandbox.run(['audit', '--org', 'ACME', '--json']);
    expect(hidden).toMatchObject({ exitCode: 6 });
    expect(hidden.json()).toMatchObject({ error: { code: 'forbidden' } });
  });
});

describe('audit of webhooks at Bitbucket Data Center', () => {
  test('without a secret, without TLS check, failing, switched off', async () => {
    const { sandbox, bitbucket } = await createLinkedDc({ link: ['--repo', 'ACME/api'] });
    await regenerate(sandbox, 'bitbucket-dc');
    expect(await auditWebhooks(sandbox)).toEqual([]);
    const repository = requireDcRepository(bitbucket.state, 'ACME/api');
    const [hook] = dcHooksAt(bitbucket.state, { level: 'repository', repository });
    if (!hook) throw new Error('There is no hook.');
    sandbox.guard(hook.settings.configuration['secret'] ?? '');
    hook.settings = { ...hook.settings, configuration: {}, sslVerificationRequired: false };
    hook.invocations.unshift({
      id: 1,
      hookId: hook.id,
      event: 'repo:refs_changed',
      url: receiverUrl,
      startedAt: 0,
      endedAt: 1,
      outcome: 'FAILURE',
      status: 502,
      description: '502',
      requestHeaders: {},
    });
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-failing: the receiver answered 502 last',
      'error webhook-without-secret: the host has no secret for the hook',
      "warning webhook-without-tls-check: the host does not check the receiver's certificate",
    ]);
    hook.settings = { ...hook.settings, active: false };
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-disabled: the hook is switched off, by a person or by its host',
    ]);
  });
});

describe('Bitbucket Cloud', () => {
  function add(
    linked: Awaited<ReturnType<typeof createLinkedBitbucket>>,
    place: BitbucketHook['place'],
    changes: Partial<BitbucketHook> = {},
  ): BitbucketHook {
    const { state } = linked.bitbucket;
    const hook: BitbucketHook = {
      uuid: state.makeUuid('hook', state.nextId()),
      place,
      url: 'https://chat.acme.example/in?key=canary-of-chat',
      description: 'chat',
      active: true,
      events: ['repo:push'],
      secret: null,
      skipsCertificate: false,
      keepsHistory: false,
      createdAt: new Date(),
      ...changes,
    };
    state.hooks.set(keyOf(place), [...(state.hooks.get(keyOf(place)) ?? []), hook]);
    return hook;
  }

  test('audit --org: webhooks of a workspace and its repositories, and what no API shows is said', async () => {
    const linked = await createLinkedBitbucket();
    const { sandbox, bitbucket } = linked;
    const workspace = requireWorkspace(bitbucket.state, 'acme');
    add(linked, { level: 'workspace', workspace });
    const repository = requireRepositoryOf(bitbucket.state, 'acme/gateway');
    add(linked, { level: 'repository', repository }, { active: false });
    const { run, lines, found } = await auditOrg(sandbox, 'acme');
    const at = bitbucket.url;
    expect(lines).toEqual([
      `warning webhook: chat https://chat.acme.example/in?… of acme/gateway at ${at}: hears of repo:push; switched off`,
      `info webhook: chat https://chat.acme.example/in?… of acme at ${at}: hears of repo:push`,
    ]);
    expect(found.map(({ fix }) => fix)).toEqual([
      `${at}/acme/gateway/admin/webhooks`,
      `${at}/acme/workspace/settings/webhooks`,
    ]);
    expect(run.stderr).toContain(
      'of acme its credential does not see access tokens and OAuth consumers, which Bitbucket shows on pages of the workspace alone.',
    );
    expect(run.stdout + run.stderr).not.toContain('canary-of-chat');
    // A workspace where ada is a member, and one that is not there.
    expect(await sandbox.run(['audit', '--org', 'others'])).toMatchObject({ exitCode: 6 });
    expect(await sandbox.run(['audit', '--org', 'nowhere'])).toMatchObject({ exitCode: 5 });
  });

  test('audit --org: what the administrator of one repository sees of a workspace', async () => {
    const linked = await createLinkedBitbucket();
    const { sandbox, bitbucket } = linked;
    const { state } = bitbucket;
    const repository = requireRepositoryOf(state, 'others/tool');
    repository.roles.set(requireUserOf(state, 'ada').id, 'admin');
    add(linked, { level: 'repository', repository });
    const { run, lines } = await auditOrg(sandbox, 'others');
    expect(lines.map((line) => line.split(' at ')[0])).toEqual([
      'info webhook: chat https://chat.acme.example/in?… of others/tool',
    ]);
    expect(run.stderr).toContain(
      'does not see webhooks of the workspace, webhooks of repositories that it does not administer, access tokens and',
    );
  });

  test('audit of webhooks: without a secret, without TLS check, switched off', async () => {
    const { sandbox, bitbucket } = await createLinkedBitbucket({ link: ['--repo', 'acme/api'] });
    await regenerate(sandbox, 'bitbucket');
    expect(await auditWebhooks(sandbox)).toEqual([]);
    for (const hook of [...bitbucket.state.hooks.values()].flat()) {
      Object.assign(hook, { secret: null, skipsCertificate: true });
    }
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-without-secret: the host has no secret for the hook',
      "warning webhook-without-tls-check: the host does not check the receiver's certificate",
    ]);
    for (const hook of [...bitbucket.state.hooks.values()].flat()) hook.active = false;
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-disabled: the hook is switched off, by a person or by its host',
    ]);
  });
});

test('audit --org without any link is exit 6', async () => {
  const run = await createSandbox().run(['audit', '--org', 'acme', '--json']);
  expect(run).toMatchObject({ exitCode: 6 });
  expect(run.json()).toMatchObject({ error: { code: 'unsupported' } });
});
