import { describe, expect, test } from 'vitest';
import { addToken, createLinked } from '../support/linked.ts';
import { createInstalledGithub, createLinkedGithub } from '../support/linked-github.ts';
import { createLinkedGitlab } from '../support/linked-gitlab.ts';
import type { Sandbox } from '../support/sandbox.ts';
import { addHook, receiverUrl } from './webhooks-kit.ts';

interface Finding {
  readonly severity: string;
  readonly code: string;
  readonly link: string | null;
  readonly subject: string;
  readonly evidence: string;
  readonly fix: string;
}

async function audit(sandbox: Sandbox, ...args: readonly string[]): Promise<readonly Finding[]> {
  const run = await sandbox.run(['audit', '--json', ...args]);
  expect(run.exitCode, run.stdout + run.stderr).toBe(0);
  return run.json<{ readonly findings: readonly Finding[] }>().findings;
}

async function auditWebhooks(sandbox: Sandbox): Promise<readonly string[]> {
  const found = (await audit(sandbox)).filter(({ code }) => code.startsWith('webhook'));
  return found.map(({ severity, code, evidence }) => `${severity} ${code}: ${evidence}`);
}

describe('audit of webhooks', () => {
  test('GitLab: without TLS check, without a secret, failing, switched off', async () => {
    const { sandbox, gitlab } = await createLinkedGitlab({ link: ['--repo', 'acme/api'] });
    const made = await sandbox.run(['regenerate-webhooks', 'gitlab', '--url', receiverUrl]);
    expect(made).toMatchObject({ exitCode: 0 });
    expect(await auditWebhooks(sandbox)).toEqual([]);
    const [hook] = gitlab.hooksOf('acme/api');
    if (!hook) throw new Error('There is no hook.');
    Object.assign(hook, { enableSslVerification: false, signingToken: null, token: null });
    hook.deliveries.unshift({
      id: 1,
      url: receiverUrl,
      trigger: 'push_hooks',
      requestHeaders: {},
      requestData: {},
      durationS: 0.1,
      responseStatus: '500',
      responseBody: '',
      idempotencyKey: 'canary',
      createdAt: new Date(),
    });
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-failing: the receiver answered 500 last',
      'error webhook-without-secret: the host has no secret for the hook',
      "warning webhook-without-tls-check: the host does not check the receiver's certificate",
    ]);
    hook.disabledUntil = Number.POSITIVE_INFINITY;
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-disabled: the hook is switched off, by a person or by its host',
    ]);
  });

  test('GitHub: without TLS check, without a secret, failing', async () => {
    const { sandbox, github } = await createLinkedGithub({ link: ['--repo', 'acme/api'] });
    const made = await sandbox.run(['regenerate-webhooks', 'github', '--url', receiverUrl]);
    expect(made, made.stderr).toMatchObject({ exitCode: 0 });
    // GitHub has sent its ping to the receiver, which is not there.
    await github.settle();
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-failing: the receiver was not reached last',
    ]);
    const failing = (await audit(sandbox)).find(({ code }) => code === 'webhook-failing');
    expect(failing?.fix).toBe('gitlink regenerate-webhooks github --repair --verify');
    const [hook] = github.hooksOf('acme/api');
    if (!hook) throw new Error('There is no hook.');
    Object.assign(hook, { insecureSsl: '1', secret: null });
    hook.deliveries.unshift({
      id: 1,
      guid: 'canary',
      url: receiverUrl,
      event: 'push',
      isRedelivery: false,
      deliveredAt: new Date(),
      durationS: 0.1,
      statusCode: 502,
      status: 'Invalid HTTP Response: 502',
      repositoryId: null,
      installationId: null,
      requestHeaders: {},
      payload: {},
      responseBody: '',
    });
    expect(await auditWebhooks(sandbox)).toEqual([
      'error webhook-failing: the receiver answered 502 last',
      'error webhook-without-secret: the host has no secret for the hook',
      "warning webhook-without-tls-check: the host does not check the receiver's certificate",
    ]);
  });
});

test('a token that the host cannot replace is for a person: where, and what takes the new one', async () => {
  const { sandbox, github } = await createLinkedGithub();
  const endless = (await audit(sandbox)).find(({ code }) => code === 'never-expires');
  expect(endless?.fix).toBe(`make a new one (${github.url}/settings/tokens), then: gitlink relink github`);
});

describe('audit of installations', () => {
  test('wider than the restriction, suspended, gone', async () => {
    const { sandbox, github, installation } = await createInstalledGithub({ link: ['--repo', 'acme/api'] });
    const codes = async (): Promise<readonly string[]> =>
      (await audit(sandbox)).map(({ severity, code }) => `${severity} ${code}`);
    const [wider, ...others] = await audit(sandbox);
    expect(others).toEqual([]);
    expect(wider).toMatchObject({ severity: 'warning', code: 'installation-wider', link: 'github' });
    expect(wider?.evidence).toMatch(
      /^the installation reaches \d+ repositor(?:y|ies) that the restriction leaves out; it is installed on all repositories of acme$/,
    );
    const api = [...github.state.repositories.values()].find(({ name }) => name === 'api');
    installation.selection = 'selected';
    installation.repositoryIds = new Set([api?.id ?? 0]);
    expect(await codes()).toEqual([]);
    installation.suspendedAt = new Date();
    expect(await codes()).toEqual(['error suspended']);
  });
});

describe('audit --org', () => {
  test('GitLab: tokens, deploy tokens, service accounts and hooks of a group and its projects', async () => {
    const { sandbox, gitlab } = await createLinkedGitlab({ link: ['--namespace', 'acme'] });
    const day = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
    gitlab.addToken({
      kind: 'group',
      resource: 'acme',
      name: 'deployer',
      scopes: ['api'],
      expiresAt: day(200),
    });
    gitlab.addToken({
      kind: 'project',
      resource: 'acme/api',
      name: 'old-ci',
      scopes: ['read_api'],
      expiresAt: day(5),
    });
    gitlab.addToken({
      kind: 'deploy',
      resource: 'acme/api',
      name: 'puller',
      scopes: ['read_repository'],
      expiresAt: null,
    });
    gitlab.addToken({
      kind: 'serviceAccount',
      user: 'service_account_group_31_canary',
      name: 'robot',
      scopes: ['api'],
      expiresAt: day(100),
    });
    const findings = (await audit(sandbox, '--org', 'acme')).filter(({ code }) =>
      code.startsWith('connected-'),
    );
    expect(findings.map(({ severity, code, subject }) => `${severity} ${code}: ${subject}`)).toEqual([
      `warning connected-deploy-token: puller of acme/api at ${gitlab.url}`,
      `warning connected-project-token: old-ci of acme/api at ${gitlab.url}`,
      `info connected-group-token: deployer of acme at ${gitlab.url}`,
      `info connected-service-account-token: robot of service_account_group_31_canary at ${gitlab.url}`,
    ]);
    expect(findings[0]).toMatchObject({
      link: null,
      evidence: 'may read_repository; never ends',
      fix: `${gitlab.url}/acme/api/-/settings/repository`,
    });
    expect(findings[1]?.evidence).toMatch(/^may read_api; ends on .*, in [45] days; never used$/);
  });

  test('GitLab: what the credential may not see is said, and a group that is not there is exit 5', async () => {
    const { sandbox } = await createLinkedGitlab({ token: { user: 'bob' } });
    const part = await sandbox.run(['audit', '--org', 'acme', '--json']);
    expect(part).toMatchObject({ exitCode: 6 });
    expect(part.json()).toMatchObject({ error: { code: 'forbidden' } });
    expect(await sandbox.run(['audit', '--org', 'nowhere'])).toMatchObject({ exitCode: 5 });
  });

  test('GitLab community edition has no service accounts and group hooks, and says so', async () => {
    const { sandbox, gitlab } = await createLinkedGitlab({ gitlab: { version: '19.6.0' } });
    gitlab.addToken({ kind: 'group', resource: 'acme', name: 'deployer', scopes: ['api'] });
    const run = await sandbox.run(['audit', '--org', 'acme', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('its credential does not see service accounts, webhooks of the group');
    expect(run.stdout).toContain('deployer of acme');
  });

  test('Gitea: hooks for an owner, tokens of the members for a site administrator', async () => {
    const { sandbox, gitea } = await createLinked({
      scopes: ['read:user', 'write:organization', 'write:repository'],
      link: ['--namespace', 'acme'],
    });
    const acme = gitea.state.findOwner('acme');
    const hook = addHook(gitea, 'acme/api', { url: 'https://chat.acme.example/in?key=canary-of-chat' });
    gitea.state.hooks.remove(hook);
    gitea.state.hooks.add({ ...hook, level: 'organization', placeId: acme?.id ?? 0, active: false });
    const run = await sandbox.run(['audit', '--org', 'acme', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('of acme its credential does not see tokens of its members');
    const { findings } = run.json<{ readonly findings: readonly Finding[] }>();
    // Of tokens it sees its owner's alone.
    expect(findings.filter(({ code }) => code === 'connected-personal-token')).toHaveLength(1);
    expect(findings.filter(({ code }) => code === 'connected-webhook')).toEqual([
      {
        severity: 'warning',
        code: 'connected-webhook',
        link: null,
        subject: `https://chat.acme.example/in?… of acme at ${gitea.url}`,
        evidence: 'hears of push; switched off',
        fix: `${gitea.url}/org/acme/settings/hooks`,
      },
    ]);
    expect(run.stdout).not.toContain('canary-of-chat');

    const [ada, bob] = ['ada', 'bob'].map((login) => gitea.state.findOwner(login));
    Object.assign(ada ?? {}, { isAdmin: true });
    expect(bob).toBeDefined();
    sandbox.guard(addToken(gitea, ['read:repository'], 'bob'));
    const all = await audit(sandbox, '--org', 'acme');
    const tokens = all.filter(({ code }) => code === 'connected-personal-token');
    expect(tokens.map(({ subject }) => subject.split(' of ')[1])).toEqual([
      `ada at ${gitea.url}`,
      `bob at ${gitea.url}`,
    ]);
    expect(tokens[1]?.evidence).toContain('may read:repository; never ends');
  });

  test('GitHub: installations and hooks for an owner; fine-grained tokens for an App', async () => {
    const { sandbox, github } = await createLinkedGithub({
      token: { scopes: ['repo', 'admin:org', 'admin:org_hook'] },
      link: ['--namespace', 'acme'],
    });
    const { app } = github.addApp({ owner: 'acme', name: 'deploy-bot' });
    github.install(app, { account: 'acme' });
    github.addToken({ kind: 'fineGrained', user: 'ada', resourceOwner: 'acme', name: 'laptop' });
    const run = await sandbox.run(['audit', '--org', 'acme', '--json']);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('of acme its credential does not see fine-grained tokens');
    const { findings } = run.json<{ readonly findings: readonly Finding[] }>();
    const [installation, ...others] = findings.filter(({ code }) => code.startsWith('connected-'));
    expect(others).toEqual([]);
    expect(installation).toMatchObject({
      severity: 'info',
      code: 'connected-app-installation',
      subject: `deploy-bot of acme at ${github.url}`,
      evidence: 'may contents:write, metadata:read, repository_hooks:write, all repositories',
    });
  });

  test('GitHub: an App that may see them is shown the fine-grained tokens', async () => {
    const permissions = {
      metadata: 'read',
      contents: 'write',
      repository_hooks: 'write',
      organization_personal_access_tokens: 'read',
    };
    const { sandbox, github } = await createInstalledGithub({
      app: { permissions },
      link: ['--namespace', 'acme'],
    });
    github.addToken({ kind: 'fineGrained', user: 'ada', resourceOwner: 'acme', name: 'laptop' });
    for (const token of github.state.tokens.values()) token.isPending = false;
    const run = await sandbox.run(['audit', '--org', 'acme', '--json']);
    expect(run, run.stderr).toMatchObject({ exitCode: 0 });
    const { findings } = run.json<{ readonly findings: readonly Finding[] }>();
    expect(findings.filter(({ code }) => code === 'connected-personal-token')).toMatchObject([
      { subject: `laptop of ada at ${github.url}`, severity: 'warning' },
    ]);
  });
});
