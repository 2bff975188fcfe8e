import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { AuthError, ForbiddenError, type GitlinkError, NotFoundError, UsageError } from '../../src/errors.ts';
import type { AppRegistrationWish } from '../../src/providers/app-support.ts';
import { githubProvider } from '../../src/providers/github/index.ts';
import { Secret } from '../../src/secret.ts';
import { requireUser } from '../simulators/github/state.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import type { GithubSimulator } from '../simulators/github/server.ts';
import { apps, cloud, openApp, startGithub, toAppAccess, type OpenApp } from './github-kit.ts';
import { createSession } from './provider-kit.ts';

const redirectUri = 'http://127.0.0.1:51234/callback';

function wish(changes: Partial<AppRegistrationWish> = {}): AppRegistrationWish {
  const base = {
    name: 'gitlink-ada',
    organization: null,
    isPublic: false,
    redirectUri,
    state: 'state-canary',
    capabilities: ['clone', 'push', 'webhooks'] as const,
  };
  return { ...base, webhook: null, ...changes };
}

function readManifest(fields: Readonly<Record<string, string>>): Record<string, unknown> {
  return JSON.parse(fields['manifest'] ?? '') as Record<string, unknown>;
}

describe('the form that registers an App', () => {
  test('asks for clone, push and webhooks, keeps the App private, and comes back to this machine', () => {
    const { action, fields } = apps.toRegistrationForm('https://github.com', wish());
    expect(action).toBe('https://github.com/settings/apps/new?state=state-canary');
    expect(readManifest(fields)).toEqual({
      name: 'gitlink-ada',
      url: 'https://github.com',
      redirect_url: redirectUri,
      callback_urls: ['http://127.0.0.1/callback'],
      public: false,
      default_permissions: { metadata: 'read', contents: 'write', repository_hooks: 'write' },
    });
  });

  test.each([
    [['clone'], { contents: 'read' }],
    [['webhooks', 'namespace-webhooks'], { organization_hooks: 'write', repository_hooks: 'write' }],
    [['admin'], { members: 'read', organization_administration: 'read' }],
  ] as const)('A19: for %j it asks for no more than that takes', (capabilities, permissions) => {
    const { fields } = apps.toRegistrationForm('https://github.com', wish({ capabilities }));
    expect(readManifest(fields)['default_permissions']).toEqual({ metadata: 'read', ...permissions });
  });

  test('§0 no. 3, §13 no. 1: says nothing of a webhook that there is not', () => {
    const manifest = readManifest(apps.toRegistrationForm('https://github.com', wish()).fields);
    expect(manifest).not.toHaveProperty('hook_attributes');
    expect(manifest).not.toHaveProperty('default_events');
  });

  test('§13 no. 2: has no setup address, which would stay for ever', () => {
    const manifest = readManifest(apps.toRegistrationForm('https://github.com', wish()).fields);
    expect(manifest).not.toHaveProperty('setup_url');
  });

  test('with a webhook asks for what its events take', () => {
    const events = [
      ...(apps.events.push ?? []),
      ...(apps.events['pull-request'] ?? []),
      ...(apps.events.comment ?? []),
    ];
    const webhook = { url: 'https://ci.acme.dev/hook', events: [...events, 'push'] };
    const { action, fields } = apps.toRegistrationForm(
      'https://h.dev',
      wish({ webhook, organization: 'acme', isPublic: true }),
    );
    expect(action).toBe('https://h.dev/organizations/acme/settings/apps/new?state=state-canary');
    expect(readManifest(fields)).toMatchObject({
      public: true,
      hook_attributes: { url: webhook.url, active: true },
      default_events: events,
      default_permissions: { pull_requests: 'read', issues: 'read', contents: 'write' },
    });
  });
});

/** Walks a form through the pages as a browser does, and returns the code that comes back. */
async function register(github: GithubSimulator, registration: AppRegistrationWish): Promise<Secret> {
  const { action, fields } = apps.toRegistrationForm(github.url, registration);
  const page = await globalThis.fetch(action, { method: 'POST', body: new URLSearchParams(fields) });
  const text = await page.text();
  const target = /<form method="post" action="([^"]+)"/.exec(text)?.[1];
  if (target === undefined) throw new Error(`There is no form: ${text}`);
  const body = new URLSearchParams({ name: registration.name, decision: 'approve' });
  const answer = await globalThis.fetch(target, { method: 'POST', body, redirect: 'manual' });
  const back = new URL(answer.headers.get('location') ?? '');
  expect(`${back.origin}${back.pathname}`).toBe(redirectUri);
  expect(back.searchParams.get('state')).toBe(registration.state);
  return new Secret(back.searchParams.get('code') ?? '');
}

describe('registering an App', () => {
  test.each([
    ['a person', null, 'ada', 'user', '/settings/apps/gitlink-ada'],
    ['an organization', 'acme', 'acme', 'organization', '/organizations/acme/settings/apps/gitlink-ada'],
  ] as const)('of %s gives its secrets once', async (_name, organization, owner, ownerKind, page) => {
    const github = await startGithub();
    const session = createSession(githubProvider);
    const { http } = session.open(github.url, null);
    const code = await register(github, wish({ organization }));
    const made = await apps.redeem(http, github.url, code);
    expect(made).toMatchObject({ slug: 'gitlink-ada', owner, ownerKind, webhookSecret: null, events: [] });
    expect(made.permissions).toEqual(['contents:write', 'metadata:read', 'repository_hooks:write']);
    expect(apps.settingsPage(github.url, made)).toBe(github.url + page);
    expect(apps.installPage(made.pageUrl)).toBe(`${made.pageUrl}/installations/new`);

    const access = toAppAccess(session, github, made.id, made.key.reveal());
    expect(made.clientSecret.matches(/^canary/)).toBe(true);
    expect(made).toMatchObject(await apps.describe(access));

    const error = (await session.fail(apps.redeem(http, github.url, code))) as GitlinkError;
    expect(error).toBeInstanceOf(AuthError);
    expect(error.hint).toContain(`${github.url}/settings/apps`);
  });

  test('gives the secret of its webhook, where it has one', async () => {
    const github = await startGithub({ settings: { allowsLocalWebhooks: true } });
    const session = createSession(githubProvider);
    const webhook = { url: 'http://127.0.0.1:9/hook', events: ['push'] };
    const made = await apps.redeem(
      session.open(github.url, null).http,
      github.url,
      await register(github, wish({ webhook })),
    );
    const access = toAppAccess(session, github, made.id, made.key.reveal());
    expect(made.webhookSecret).not.toBeNull();
    expect(await apps.readWebhook(access)).toEqual({ url: webhook.url, hasSecret: true });
  });

  test('a code is never sent with a credential, nor twice', async () => {
    const server = await startServer((_request, response) => response.writeHead(502).end());
    const session = createSession(githubProvider);
    const signed = session.open(server.base, 'canary-token-of-somebody').http;
    await session.fail(apps.redeem(signed, server.base, new Secret('code/canary?x')));
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]).toMatchObject({ url: '/api/v3/app-manifests/code%2Fcanary%3Fx/conversions' });
    expect(server.seen[0]?.headers).not.toHaveProperty('authorization');
  });
});

describe('proving to be an App', () => {
  test('F7: signs for at most ten minutes, from a minute ago, by the number of the App', async () => {
    const server = await startServer((_request, response) =>
      sendJson(response, { id: 7, slug: 'canary', name: 'canary', html_url: 'https://h.dev/apps/canary' }),
    );
    const { access, session } = await openApp();
    const { http } = session.open(server.base, null);
    await apps.describe({ ...access, http });
    const authorization = server.seen[0]?.headers.authorization ?? '';
    expect(authorization).toMatch(/^Bearer eyJ/);
    const [head = '', claims = '', signature = ''] = authorization.slice('Bearer '.length).split('.');
    const read = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
    expect(read(head)).toEqual({ alg: 'RS256', typ: 'JWT' });
    const { iat, exp, iss } = read(claims) as { iat: number; exp: number; iss: string };
    expect(iss).toBe(access.app.id);
    expect(Math.abs(Date.now() / 1000 - 60 - iat)).toBeLessThan(5);
    expect(exp - iat).toBe(600);
    const key = createPublicKey(access.app.key.reveal());
    const bytes = Buffer.from(signature, 'base64url');
    expect(verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), key, bytes)).toBe(true);
  });

  test.each([-86_400_000, -3_600_000, 3_600_000, 86_400_000])(
    'F7: a clock that differs by %i ms is mended once, by the time of the host',
    async (clockOffsetMs) => {
      const { access, app, github } = await openApp({ settings: { clockOffsetMs } });
      const installation = github.install(app, { account: 'acme' });
      const minted = await apps.mint(access, String(installation.id), {
        repository: null,
        permissions: null,
      });
      // By this machine's clock it lives for an hour, too.
      expect(Math.abs(minted.expiresAt - Date.now() - 3_600_000)).toBeLessThan(10_000);
      expect(github.requests).toHaveLength(2);
    },
  );

  test('a clock that stays wrong is named', async () => {
    const { access, session, github } = await openApp();
    const json = {
      message: "'Issued at' claim ('iat') must be an Integer",
      documentation_url: 'https://docs.github.com/rest',
    };
    github.faults.add({ fault: { kind: 'answer', answer: { status: 401, json } } });
    const error = (await session.fail(apps.describe(access))) as GitlinkError;
    expect(error).toMatchObject({ code: 'auth', hint: expect.stringContaining('clock') as unknown });
  });

  test('a key of another App is refused, and so is the number of none', async () => {
    const { access, session } = await openApp();
    const other = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    }).privateKey;
    const wrongKey = { ...access, app: { ...access.app, key: new Secret(other) } };
    expect((await session.fail(apps.describe(wrongKey))).message).toContain('does not accept this key');
    const wrongNumber = { ...access, app: { ...access.app, id: '4711' } };
    const error = (await session.fail(apps.describe(wrongNumber))) as GitlinkError;
    expect(error).toBeInstanceOf(AuthError);
    expect(error.hint).toContain('App ID');
  });

  test('a key whose line breaks are written out is a key', async () => {
    const { access, app } = await openApp();
    const written = access.app.key.map((pem) => pem.trim().replaceAll('\n', '\\n'));
    const described = await apps.describe({ ...access, app: { ...access.app, key: written } });
    expect(described.id).toBe(String(app.id));
  });

  test('what is no key is refused before anything is sent, and not quoted', async () => {
    const { access, session, github } = await openApp();
    const ec = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    }).privateKey;
    const marked = '-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----';
    for (const text of ['canary-that-is-no-key', marked, ec]) {
      const error = await session.fail(
        apps.describe({ ...access, app: { ...access.app, key: new Secret(text) } }),
      );
      expect(error).toBeInstanceOf(UsageError);
      expect(JSON.stringify(error)).not.toContain(text);
    }
    expect(github.requests).toEqual([]);
  });

  test.each([401, 404])('a page of HTML as %i says nothing about the key', async (status) => {
    const { access, session, github } = await openApp();
    github.faults.add({ fault: { kind: 'html', status } });
    expect(await session.fail(apps.describe(access))).toMatchObject({ code: 'unreachable' });
  });
});

describe('the installations of an App', () => {
  test('are listed with what was granted, which lags behind what is asked for (§13, further quirks)', async () => {
    const { access, app, github } = await openApp({}, { isPublic: true });
    const own = github.install(app, { account: 'ada' });
    github.install(app, { account: 'acme', repositories: ['api'] });
    app.permissions = { ...app.permissions, issues: 'read' };
    github.setSuspended(own, 'ada');
    const [ofAda, ofAcme] = await apps.listInstallations(access);
    expect(ofAda).toMatchObject({ login: 'ada', accountKind: 'user', isSelective: false, isSuspended: true });
    expect(ofAcme).toEqual({
      id: expect.any(String) as unknown,
      login: 'acme',
      accountKind: 'organization',
      isSelective: true,
      isSuspended: false,
      permissions: ['contents:write', 'metadata:read', 'repository_hooks:write'],
      pageUrl: `${github.url}/organizations/acme/settings/installations/${ofAcme?.id}`,
    });
    expect(await apps.findInstallation(access, ofAcme?.id ?? '')).toEqual(ofAcme);
    expect(await apps.findInstallation(access, '4711')).toBeNull();
    expect((await apps.describe(access)).permissions).toContain('issues:read');
  });

  test('§13 no. 3 and 4: that wait for an owner are seen, and then there', async () => {
    const { access, app, github } = await openApp({}, { isPublic: true });
    expect(await apps.listRequests(access)).toEqual([]);
    const acme = github.state.findAccount('acme');
    if (!acme) throw new Error('There is an acme.');
    const id = github.state.nextId('request');
    const requester = requireUser(github.state, 'bob');
    github.state.installationRequests.set(id, { id, app, account: acme, requester, createdAt: new Date() });
    expect(await apps.listRequests(access)).toEqual([{ login: 'acme', requester: 'bob' }]);
    github.approveRequest(app, 'acme');
    expect(await apps.listRequests(access)).toEqual([]);
    expect(await apps.listInstallations(access)).toMatchObject([{ login: 'acme' }]);
  });

  test('are taken away, and a second time is no error', async () => {
    const { access, app, github } = await openApp();
    const { id } = github.install(app, { account: 'ada' });
    expect(await apps.uninstall(access, String(id))).toBe('removed');
    expect(await apps.uninstall(access, String(id))).toBe('gone');
    expect(github.installationsOf(app)).toEqual([]);
  });

  test('§0 no. 13: a host that only promises to take one away has done it', async () => {
    const { access, github } = await openApp();
    github.faults.add({ fault: { kind: 'answer', answer: { status: 202, json: {} } } });
    expect(await apps.uninstall(access, '1')).toBe('removed');
  });
});

describe('minting a token', () => {
  async function prepare(options: Parameters<typeof openApp>[0] = {}) {
    const opened = await openApp(options, { isPublic: true });
    const { id } = opened.github.install(opened.app, { account: 'acme', repositories: ['api', 'web'] });
    return { ...opened, id: String(id) };
  }

  function tokenOf({ github }: OpenApp, token: Secret) {
    return [...github.state.tokens.values()].find(({ secret }) => token.equals(new Secret(secret)));
  }

  test('for everything', async () => {
    const opened = await prepare(cloud);
    const { token } = await apps.mint(opened.access, opened.id, { repository: null, permissions: null });
    expect(token.length).toBeGreaterThan(400);
    expect(tokenOf(opened, token)).toMatchObject({ repositories: 'all', permissions: { contents: 'write' } });
  });

  test.each(['acme/api', 'ACME/Api', 'acme/api.wiki'])('for %s and reading alone', async (repository) => {
    const opened = await prepare();
    const { token } = await apps.mint(opened.access, opened.id, {
      repository,
      permissions: ['contents:read'],
    });
    const found = tokenOf(opened, token);
    expect(found?.permissions).toEqual({ metadata: 'read', contents: 'read' });
    expect(found?.repositories).toHaveProperty('size', 1);
  });

  test("another owner's repository of the same name is not this one, and the token for it is ended", async () => {
    const opened = await prepare();
    const { access, id, session } = opened;
    const error = await session.fail(apps.mint(access, id, { repository: 'bob/api', permissions: null }));
    expect(error).toBeInstanceOf(ForbiddenError);
    const made = [...opened.github.state.tokens.values()].filter(({ kind }) => kind === 'installation');
    expect(made).toMatchObject([{ revoked: true }]);
  });

  test.each([
    ['a repository that was not chosen', { repository: 'acme/legacy', permissions: null }, 'not reach'],
    ['a permission that was not granted', { repository: null, permissions: ['issues:read'] }, 'not granted'],
  ])('is refused for %s', async (_name, mintWish, words) => {
    const { access, id, session } = await prepare();
    const error = (await session.fail(apps.mint(access, id, mintWish))) as GitlinkError;
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain(words);
    expect(error.hint).toContain('/settings/installations');
  });

  test('§13 no. 8: is refused where the installation is suspended', async () => {
    const { access, id, session, github } = await prepare();
    github.setSuspended(only(github), 'ada');
    const error = await session.fail(apps.mint(access, id, { repository: null, permissions: null }));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain('suspended');
  });

  test('is not possible where there is no such installation', async () => {
    const { access, session } = await prepare();
    const minting = apps.mint(access, '4711', { repository: null, permissions: null });
    expect(await session.fail(minting)).toBeInstanceOf(NotFoundError);
  });

  test('§0 no. 15: two hosts with an installation of the same number get each their own', async () => {
    const [one, two] = [await prepare(), await prepare()];
    expect(one.id).toBe(two.id);
    const all = { repository: null, permissions: null };
    const [ofOne, ofTwo] = await Promise.all([
      apps.mint(one.access, one.id, all),
      apps.mint(two.access, two.id, all),
    ]);
    expect(tokenOf(one, ofOne.token)).toBeDefined();
    expect(tokenOf(two, ofTwo.token)).toBeDefined();
  });

  test('a token that is not known everywhere yet is called wrong, and ending it twice is no error', async () => {
    const { access, id, session, github } = await prepare();
    const { token } = await apps.mint(access, id, { repository: null, permissions: null });
    await apps.probe(access.http, token);
    github.settings.replicationLagMs = 60_000;
    expect(await session.fail(apps.probe(access.http, token))).toBeInstanceOf(AuthError);
    github.settings.replicationLagMs = 0;
    expect(await apps.endToken(access.http, token)).toBe('revoked');
    expect(await apps.endToken(access.http, token)).toBe('alreadyDead');
  });
});

function only(github: GithubSimulator) {
  const [installation] = github.installationsOf();
  if (!installation) throw new Error('It is installed nowhere.');
  return installation;
}

describe("an App's webhook", () => {
  test('is none where the App was registered without one', async () => {
    expect(await apps.readWebhook((await openApp()).access)).toBeNull();
  });

  test('changes address and secret, and tells of its newest delivery', async () => {
    const github = await startGithub();
    const session = createSession(githubProvider);
    const code = await register(
      github,
      wish({ webhook: { url: 'http://127.0.0.1:9/old', events: ['push'] } }),
    );
    const made = await apps.redeem(session.open(github.url, null).http, github.url, code);
    const access = toAppAccess(session, github, made.id, made.key.reveal());
    await github.settle();
    const secret = new Secret('ef'.repeat(32));
    await apps.changeWebhook(access, { url: 'http://127.0.0.1:9/new', secret });
    expect(await apps.readWebhook(access)).toEqual({ url: 'http://127.0.0.1:9/new', hasSecret: true });
    const hook = [...github.state.apps.values()][0]?.hook;
    expect(hook).toMatchObject({ secret: 'ef'.repeat(32), contentType: 'json' });
    hook?.deliveries.splice(0);
    expect(await apps.readNewestDelivery(access)).toMatchObject({ outcome: 'untestable' });
  });
});
