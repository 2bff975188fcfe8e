import { AuthError, ForbiddenError, NotFoundError } from '../../errors.ts';
import { isAnswer } from '../../http/host-answer-error.ts';
import type { HostClient, HostResponse } from '../../http/host-client.ts';
import { followLinkPages } from '../../http/paging.ts';
import { route } from '../../http/route.ts';
import { Secret } from '../../secret.ts';
import type {
  AppAccess,
  AppDescription,
  AppSupport,
  CreatedApp,
  Installation,
  InstallationRequest,
  MintedToken,
  MintWish,
} from '../app-support.ts';
import { narrow } from '../narrow.ts';
import { installationKind } from '../provider.ts';
import { toConversionRoute } from './app-jwt.ts';
import { toRegistrationForm } from './app-manifest.ts';
import { changeWebhook, readNewestDelivery, readWebhook } from './app-webhook.ts';
import { openAsApp } from './ask-as-app.ts';
import { speak } from './ask.ts';
import { RefusedError } from './refusals.ts';
import { endInstallationToken } from './revocation.ts';
import * as schemas from './schemas.ts';
import { toPermissionNames } from './scopes.ts';
import { webhookEventNames } from './webhooks.ts';
import * as v from 'valibot';

const hourMs = 3_600_000;

/**
 * GitHub Apps.
 *
 * @see https://docs.github.com/apps/creating-github-apps/about-creating-github-apps/about-creating-github-apps
 */
export const apps: AppSupport = {
  toRegistrationForm,
  redeem,
  describe,
  installPage: (pageUrl) => `${pageUrl}/installations/new`,
  settingsPage: toSettingsPage,
  listInstallations,
  findInstallation,
  listRequests,
  uninstall,
  mint,
  probe,
  endToken: endInstallationToken,
  events: webhookEventNames,
  readWebhook,
  changeWebhook,
  readNewestDelivery,
};

/** Sent once, and without a credential: with one it is said to fail. The answer is the only copy of the secrets. */
async function redeem(http: HostClient, host: string, code: Secret): Promise<CreatedApp> {
  const { status, body } = await speak(http, null).request({
    method: 'POST',
    route: toConversionRoute(code),
    authorization: null,
    repeat: 'never',
    accept: [404, 422],
  });
  if (status === 404 || status === 422) {
    throw new AuthError(`${host} does not take the code of this registration: it works once, for an hour.`, {
      hint: `If the App is there, delete it or make a key for it at ${host}/settings/apps; then run the command again.`,
    });
  }
  const made = narrow(schemas.createdApp, body, 'the new App');
  return {
    ...toDescription(host, made),
    clientId: made.client_id,
    clientSecret: new Secret(made.client_secret),
    key: new Secret(made.pem),
    webhookSecret: made.webhook_secret ? new Secret(made.webhook_secret) : null,
  };
}

async function describe(access: AppAccess): Promise<AppDescription> {
  const { body } = await openAsApp(access).request({ method: 'GET', route: route`/app` });
  return toDescription(access.host, narrow(schemas.app, body, 'the App'));
}

/** A page of the host itself: what it names elsewhere is no page of it, and is never opened. */
function toOwnPage(host: string, named: string, otherwise: string): string {
  const isOwn = URL.canParse(named) && new URL(named).origin === new URL(host).origin;
  return isOwn ? named.replace(/\/$/, '') : `${host}${otherwise}`;
}

function toDescription(host: string, app: schemas.App): AppDescription {
  const { id, slug, name, client_id: clientId, owner, html_url: pageUrl, permissions, events } = app;
  return {
    id: String(id),
    clientId: clientId ?? null,
    slug,
    name,
    owner: owner?.login ?? owner?.slug ?? null,
    ownerKind: toOwnerKind(owner?.type),
    pageUrl: toOwnPage(host, pageUrl, `/apps/${slug}`),
    permissions: toPermissionNames(permissions),
    events: events ?? [],
  };
}

function toOwnerKind(type: string | null | undefined): AppDescription['ownerKind'] {
  if (type === 'Organization') return 'organization';
  return type === 'User' ? 'user' : null;
}

function toSettingsPage(
  host: string,
  { slug, owner, ownerKind }: Pick<AppDescription, 'slug' | 'owner' | 'ownerKind'>,
): string {
  const isOfOrganization = ownerKind === 'organization' && owner !== null;
  const place = isOfOrganization ? `/organizations/${encodeURIComponent(owner)}` : '';
  return `${host}${place}/settings/apps/${encodeURIComponent(slug)}`;
}

async function listInstallations(access: AppAccess): Promise<readonly Installation[]> {
  const found: Installation[] = [];
  for await (const { body } of listPages(access, 'installations')) {
    found.push(
      ...narrow(v.array(schemas.installation), body, 'the installations').map((each) =>
        toInstallation(access.host, each),
      ),
    );
  }
  return found;
}

async function findInstallation(access: AppAccess, id: string): Promise<Installation | null> {
  const { status, body } = await openAsApp(access).request({
    method: 'GET',
    route: route`/app/installations/${id}`,
    accept: [404],
  });
  return status === 404
    ? null
    : toInstallation(access.host, narrow(schemas.installation, body, 'the installation'));
}

function toInstallation(host: string, found: schemas.Installation): Installation {
  return {
    id: String(found.id),
    // An enterprise has a slug instead.
    login: found.account?.login ?? found.account?.slug ?? '',
    accountKind: (found.target_type ?? found.account?.type) === 'User' ? 'user' : 'organization',
    isSelective: found.repository_selection === 'selected',
    permissions: toPermissionNames(found.permissions),
    pageUrl: toOwnPage(host, found.html_url, `/settings/installations/${found.id}`),
    isSuspended: Boolean(found.suspended_at),
  };
}

/** What an owner has not decided yet. */
async function listRequests(access: AppAccess): Promise<readonly InstallationRequest[]> {
  const found: InstallationRequest[] = [];
  for await (const { body } of listPages(access, 'installation-requests')) {
    for (const { account, requester } of narrow(v.array(schemas.installationRequest), body, 'the requests')) {
      found.push({ login: account.login ?? account.slug ?? '', requester: requester?.login ?? null });
    }
  }
  return found;
}

function listPages(
  access: AppAccess,
  what: 'installations' | 'installation-requests',
): AsyncIterable<HostResponse> {
  return followLinkPages(openAsApp(access), {
    method: 'GET',
    route: route`/app/${what}`,
    query: { per_page: 100 },
  });
}

/** Newer versions of the API only promise to do it soon. */
async function uninstall(access: AppAccess, id: string): Promise<'removed' | 'gone'> {
  const { status } = await openAsApp(access).request({
    method: 'DELETE',
    route: route`/app/installations/${id}`,
    accept: [404],
  });
  return status === 404 ? 'gone' : 'removed';
}

async function mint(access: AppAccess, installationId: string, wish: MintWish): Promise<MintedToken> {
  const { repository, permissions } = wish;
  // Who may clone a wiki is decided by its repository.
  const wanted = repository?.replace(/\.wiki$/i, '') ?? null;
  const name = wanted?.split('/')[1];
  const answer = await sendMint(access, installationId, {
    ...(name === undefined ? {} : { repositories: [name] }),
    ...(permissions === null ? {} : { permissions: toPermissionLevels(permissions) }),
  });
  const minted = narrow(schemas.mintedToken, answer.body, 'the token');
  const token = new Secret(minted.token);
  const reached = minted.repositories?.map(({ full_name: fullName }) => fullName.toLowerCase()) ?? [];
  if (wanted !== null && (reached.length !== 1 || reached[0] !== wanted.toLowerCase())) {
    // Only the name was sent, so that a token for another owner's repository would look like the right one.
    await endInstallationToken(access.http, token);
    throw new ForbiddenError(`This installation does not reach ${wanted}.`);
  }
  const hostTime = Date.parse(answer.headers.get('date') ?? '');
  const startedAt = Number.isNaN(hostTime) ? access.now() : hostTime;
  const lifeMs = Math.min(Math.max(0, Date.parse(minted.expires_at) - startedAt), hourMs);
  return { token, expiresAt: access.now() + (Number.isNaN(lifeMs) ? hourMs : lifeMs) };
}

/** A lost answer leaves a token that nobody has and that ends within the hour, so this may be sent again. */
async function sendMint(
  access: AppAccess,
  installationId: string,
  json: Readonly<Record<string, unknown>>,
): Promise<HostResponse> {
  try {
    const answer = await openAsApp(access).request({
      method: 'POST',
      route: route`/app/installations/${installationId}/access_tokens`,
      json,
      repeat: 'safe',
      accept: [404],
    });
    if (answer.status !== 404) return answer;
  } catch (error) {
    throw error instanceof RefusedError ? toMintError(access, error) : error;
  }
  throw new NotFoundError(
    `The App ${access.app.id} has no installation ${installationId} at ${access.host}.`,
    {
      hint: 'It was uninstalled, or it is that of another App. Install it again.',
    },
  );
}

function toMintError({ host }: AppAccess, error: RefusedError): Error {
  const text = error.hostMessage ?? '';
  const hint = `See the page of the installation: ${host}/settings/installations`;
  if (error.status === 403 && /suspended/i.test(text)) {
    return new ForbiddenError('This installation of the App is suspended.', { cause: error, hint });
  }
  if (error.status !== 422) return error;
  if (/permissions requested/i.test(text)) {
    return new ForbiddenError('This installation was not granted the permissions that were asked for.', {
      cause: error,
      hint: `Whoever owns the account has to agree to what the App asks for. ${hint}`,
    });
  }
  if (/repositor/i.test(text)) {
    return new ForbiddenError(`This installation does not reach that repository: ${text}`, {
      cause: error,
      hint,
    });
  }
  return error;
}

/** `contents:read` as GitHub wants it. */
function toPermissionLevels(names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => name.split(':') as [subject: string, level: string]));
}

/** Not all servers know a new token at once: the others say that it is wrong, or that there is nothing. */
async function probe(http: HostClient, token: Secret): Promise<void> {
  try {
    await speak(http, installationKind).request({
      method: 'GET',
      route: route`/installation/repositories`,
      query: { per_page: 1 },
      authorization: { scheme: 'Bearer', secret: token },
    });
  } catch (error) {
    if (!isAnswer(error, 404)) throw error;
    throw new AuthError('The host does not know its new token yet.', { cause: error });
  }
}
