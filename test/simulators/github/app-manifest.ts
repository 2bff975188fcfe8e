import { randomUUID } from 'node:crypto';
import type { PlainAnswer, Route, SimulatorRequest } from '../routes.ts';
import { toAppJson } from './app-json.ts';
import { addApp, findApp, makeManifestCode, toSlug, type CreatedApp } from './app-state.ts';
import { isRecord, refuse, refuseNotFound } from './call.ts';
import type { Api, Call, GithubContext } from './call.ts';
import { createHook } from './hook-state.ts';
import { isLocalAddress } from './hook-fields.ts';
import { answerAbsentPage, answerPage, escape, type BrowserPerson } from './pages.ts';
import { isOwner } from './access.ts';
import { requireUser, type GithubAccount } from './state.ts';

type Manifest = Readonly<Record<string, unknown>>;

interface PendingManifest {
  readonly manifest: Manifest;
  readonly owner: GithubAccount;
  readonly state: string;
}

interface PendingApp extends CreatedApp {
  readonly webhookSecret: string | null;
  readonly expiresAt: number;
}

const codeLifeMs = 3_600_000;
const longestName = 34;

/** What a manifest may hold (`providers/github.md` §2.1). */
const knownKeys = new Set([
  'url',
  'name',
  'hook_attributes',
  'redirect_url',
  'callback_urls',
  'setup_url',
  'setup_on_update',
  'request_oauth_on_install',
  'description',
  'public',
  'default_permissions',
  'default_events',
]);

/** Registering an app by manifest: two pages in the browser, and the conversion. */
export function createManifestFlow(
  context: () => GithubContext,
  person: BrowserPerson,
): { readonly webRoutes: readonly Route[]; apiRoutes(this: void, api: Api): Route[] } {
  const manifests = new Map<string, PendingManifest>();
  const codes = new Map<string, PendingApp>();

  const ownerOf = ({ params }: SimulatorRequest): GithubAccount | null => {
    const { state } = context();
    const user = requireUser(state, person.signedInAs);
    if (params['org'] === undefined) return user;
    const organization = state.findAccount(params['org']);
    return organization?.kind === 'organization' && isOwner(user, organization) ? organization : null;
  };

  const show = (request: SimulatorRequest): PlainAnswer => {
    const owner = ownerOf(request);
    if (!owner) return answerAbsentPage();
    const { manifest: text } = (request.body ?? {}) as { readonly manifest?: unknown };
    const manifest = parseManifest(text);
    const problems = manifest ? findProblems(context(), manifest) : ['The manifest is no JSON object.'];
    if (!manifest || problems.length > 0) return answerProblems(problems);
    if (request.query.get('state') === null) request.recordFailure('a manifest without a state');
    const number = randomUUID();
    manifests.set(number, { manifest, owner, state: request.query.get('state') ?? '' });
    const name = typeof manifest['name'] === 'string' ? manifest['name'] : '';
    const action = `${context().webUrl()}/settings/apps/manifest?request=${number}`;
    return answerPage(
      200,
      'Create GitHub App',
      `<p>The app will belong to ${escape(owner.login)}.</p>
<form method="post" action="${action}">
<label>GitHub App name <input name="name" value="${escape(name)}"></label>
<button name="decision" value="approve">Create GitHub App</button>
</form>`,
    );
  };

  const create = (request: SimulatorRequest): PlainAnswer => {
    const number = request.query.get('request') ?? '';
    const pending = manifests.get(number);
    if (!pending) return answerAbsentPage();
    const { manifest, owner, state } = pending;
    const body = (request.body ?? {}) as Readonly<Record<string, string>>;
    const name = body['name'] ?? manifest['name'];
    const problems = findProblems(context(), { ...manifest, name });
    if (name === undefined) problems.push("Name can't be blank");
    if (problems.length > 0) return answerProblems(problems);
    manifests.delete(number);
    const code = makeManifestCode();
    codes.set(code, register(context(), { ...manifest, name }, owner));
    const target = new URL(String(manifest['redirect_url']));
    target.searchParams.set('code', code);
    if (state !== '') target.searchParams.set('state', state);
    return { status: 302, headers: { location: target.href } };
  };

  const convert = (call: Call): PlainAnswer => {
    // Reported to fail, and there is nothing to authorise.
    if (call.request.authorization) {
      call.request.recordFailure('a credential at the conversion of a manifest');
      throw refuse(404, 'Not Found', { page: call.need.page });
    }
    const code = call.request.params['code'] ?? '';
    const pending = codes.get(code);
    codes.delete(code);
    if (!pending || pending.expiresAt <= call.now()) throw refuseNotFound(call);
    const { app, pem, webhookSecret } = pending;
    const { clientSecret } = app.client;
    const json = { ...toAppJson(call, app), client_secret: clientSecret, webhook_secret: webhookSecret, pem };
    return { status: 201, json };
  };

  const page = (template: string, handle: Route['handle']): Route => ({
    method: 'POST',
    template,
    undescribed: true,
    handle,
  });
  return {
    webRoutes: [
      page('/settings/apps/new', show),
      page('/organizations/{org}/settings/apps/new', show),
      page('/settings/apps/manifest', create),
    ],
    apiRoutes: (api) => [
      {
        method: 'POST',
        template: '/app-manifests/{code}/conversions',
        handle: api({ who: 'anyone', page: 'apps/apps#create-a-github-app-from-a-manifest' }, convert),
      },
    ],
  };
}

function parseManifest(text: unknown): Manifest | null {
  if (typeof text !== 'string') return null;
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function findProblems({ state, settings }: GithubContext, manifest: Manifest): string[] {
  const { name, url, redirect_url: redirect, hook_attributes: hook, callback_urls: callbacks } = manifest;
  const problems = Object.keys(manifest)
    .filter((key) => !knownKeys.has(key))
    .map((key) => `"${key}" is not a permitted key.`);
  if (!isUrl(url)) problems.push('"url" wasn\'t supplied.');
  if (!isUrl(redirect)) problems.push('"redirect_url" wasn\'t supplied.');
  if (name !== undefined) problems.push(...findNameProblems(state, typeof name === 'string' ? name : ''));
  if (hook !== undefined) {
    const target = isRecord(hook) ? hook['url'] : undefined;
    // The message names the other `url`, and misleads.
    if (!isUrl(target)) problems.push('"url" wasn\'t supplied.');
    else if (!settings.allowsLocalWebhooks && isLocalAddress(target)) {
      problems.push("Hook url is not supported because it isn't reachable over the public Internet");
    }
  } else if (Array.isArray(manifest['default_events']) && manifest['default_events'].length > 0) {
    problems.push('Default events are only supported with a webhook.');
  }
  const isList = callbacks === undefined || (Array.isArray(callbacks) && callbacks.every(isUrl));
  if (!isList || (Array.isArray(callbacks) && callbacks.length > 10)) {
    problems.push('"callback_urls" must be up to 10 addresses.');
  }
  const { default_permissions: permissions } = manifest;
  const unknown = Object.entries(isRecord(permissions) ? permissions : {}).filter(
    ([permission, level]) =>
      !knownPermissions.has(permission) || !['read', 'write', 'admin'].includes(String(level)),
  );
  for (const [permission] of unknown)
    problems.push(`Default permission records resource "${permission}" is not included in the list`);
  return problems;
}

/** Names of apps and of accounts are one space. */
function findNameProblems(state: GithubContext['state'], name: string): readonly string[] {
  const slug = toSlug(name);
  if (slug === '') return ["Name can't be blank"];
  const isTaken = findApp(state, slug) ?? state.findAccount(slug);
  return [
    ...(isTaken ? ['Name is already in use'] : []),
    ...(name.length > longestName ? [`Name is too long (maximum is ${longestName} characters)`] : []),
  ];
}

/** Those that gitlink may ask for, and some that others do. */
const knownPermissions = new Set(
  'actions administration checks contents deployments environments issues metadata packages pages pull_requests repository_hooks repository_projects secrets security_events single_file statuses vulnerability_alerts workflows members organization_administration organization_events organization_hooks organization_personal_access_tokens organization_personal_access_token_requests organization_plan organization_projects organization_secrets emails'.split(
    ' ',
  ),
);

function isUrl(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

function register(context: GithubContext, manifest: Manifest, owner: GithubAccount): PendingApp {
  const { state, now } = context;
  const textsOf = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);
  const setupUrl = manifest['setup_url'];
  const created = addApp(
    state,
    {
      name: String(manifest['name']),
      owner: owner.login,
      isPublic: manifest['public'] === true,
      description: typeof manifest['description'] === 'string' ? manifest['description'] : null,
      externalUrl: String(manifest['url']),
      permissions: (manifest['default_permissions'] ?? {}) as Readonly<Record<string, string>>,
      events: textsOf(manifest['default_events']),
      callbackUrls: textsOf(manifest['callback_urls']),
      setupUrl: typeof setupUrl === 'string' ? setupUrl : null,
      setupOnUpdate: manifest['setup_on_update'] === true,
    },
    now(),
  );
  const { app } = created;
  const hook = manifest['hook_attributes'];
  const webhookSecret = isRecord(hook) ? `canary${randomUUID().replaceAll('-', '')}` : null;
  if (isRecord(hook)) {
    app.hook = createHook(state, now(), {
      place: { level: 'app', app },
      url: String(hook['url']),
      contentType: 'json',
      secret: webhookSecret,
      active: hook['active'] !== false,
      events: app.events,
    });
  }
  return { ...created, webhookSecret, expiresAt: now() + codeLifeMs };
}

function answerProblems(problems: readonly string[]): PlainAnswer {
  const lines = problems.map((problem) => `<li>Error ${escape(problem)}</li>`).join('');
  return answerPage(422, 'Invalid GitHub App configuration', `<ul>${lines}</ul>`);
}
