import { AuthError, InternalError, isAuthError } from '../../errors.ts';
import type { Secret } from '../../secret.ts';
import { registerAppByBrowser } from '../../oauth/app-registration.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import type { Capability } from '../../providers/provider.ts';
import type { AppDescription } from '../../providers/app-support.ts';
import type { Storage } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';
import { addIntents, endIntent } from '../intents.ts';
import { openAnonymous } from '../open-anonymous.ts';
import type { RecognisedHost } from '../recognise-host.ts';
import { toNativeEvents } from '../webhook-target.ts';
import { keepApp } from './keep-app.ts';
import { openAppAccess, requireApps, type AppClient } from './open-app.ts';

export interface AppWish {
  /** The organization that shall own it; null for the person's own account. */
  readonly organization: string | null;
  readonly isPublic: boolean;
  readonly capabilities: readonly Capability[];
  /** Null for an app without a webhook; events in gitlink's words. */
  readonly webhook: { readonly url: string; readonly events: readonly string[] } | null;
  readonly caFile: string | null;
  readonly timeoutMs: number;
}

export interface RegistrationHooks {
  readonly openBrowser: (startUrl: string) => Promise<void>;
  readonly onWaiting: (waiting: { readonly isOpened: boolean; readonly startUrl: string }) => void;
}

/**
 * Has a person register an app with one click, and keeps its secrets before the browser goes on to the page where it
 * is installed.
 *
 * @throws AuthError when it is declined or not finished in time.
 */
export async function registerApp(
  context: OperationContext,
  storage: Storage,
  { provider, description }: RecognisedHost,
  wish: AppWish,
  hooks: RegistrationHooks,
): Promise<AppClient> {
  const support = requireApps(provider);
  const { host } = description;
  const { organization, isPublic } = wish;
  const name = `gitlink-${context.random.bytes(4).toString('hex')}`;
  const events = wish.webhook === null ? [] : toNativeEvents(provider, support.events, wish.webhook.events);
  const kept: AppClient[] = [];
  await registerAppByBrowser({
    ...hooks,
    host: toDisplayHost(host),
    // Nobody on this machine can guess where the browser comes back to.
    redirect: {
      host: '127.0.0.1',
      path: `/callback/${context.random.bytes(16).toString('hex')}`,
      port: null,
    },
    clock: context.clock,
    random: context.random,
    signal: context.signal,
    timeoutMs: wish.timeoutMs,
    toForm: ({ redirectUri, state }) => ({
      ...support.toRegistrationForm(host, {
        name,
        organization,
        isPublic,
        redirectUri,
        state,
        capabilities: wish.capabilities,
        webhook: wish.webhook === null ? null : { url: wish.webhook.url, events },
      }),
      title: `Your browser goes on to ${toDisplayHost(host)}`,
      button: 'Go on',
    }),
    settle: async (code) => {
      // Ctrl-C does not cut it: the answer is the only copy of the key.
      const { signal } = new AbortController();
      const http = await openAnonymous(context, provider, host, wish.caFile, { signal });
      // Whoever dies between the exchange and the store leaves an App whose key nobody has: this says which.
      const item = nameRegistration(host, name);
      const begunAt = context.clock.now();
      await context.links.change((records) => addIntents(records, [item], storage, begunAt));
      const created = await support.redeem(http, host, code).catch(async (error: unknown) => {
        if (isAuthError(error)) await context.links.change((records) => endIntent(records, item));
        else warnOfLostApp(context, support.settingsPage(host, toWished(name, organization)), name);
        throw error;
      });
      const { webhookSecret, key, clientSecret } = created;
      const webhook =
        wish.webhook === null || webhookSecret === null ? null : { ...wish.webhook, secret: webhookSecret };
      const app = { provider: provider.id, host, description: created, key, clientSecret, webhook };
      kept.push(
        await keepApp(context, storage, app).catch((error: unknown) => {
          warnOfLostApp(context, support.settingsPage(host, created), created.name);
          throw error;
        }),
      );
      await context.links.change((records) => endIntent(records, item));
      assertOwner(created, organization);
      return support.installPage(created.pageUrl);
    },
  });
  const [client] = kept;
  if (client) return client;
  throw new InternalError('A registration ended without an App.');
}

/** An App as it was asked for: the person may have given it another name on the page. */
function toWished(
  slug: string,
  organization: string | null,
): Pick<AppDescription, 'slug' | 'owner' | 'ownerKind'> {
  return { slug, owner: organization, ownerKind: organization === null ? 'user' : 'organization' };
}

function warnOfLostApp({ reporter }: OperationContext, page: string, name: string): void {
  reporter.warn(
    `The App ${name} may exist by now, and its key is lost. If it is there, delete it at ${page}`,
  );
}

/** How an unfinished registration stands among the intentions: a crash leaves it there for people to read. */
function nameRegistration(host: string, name: string): string {
  return `app-registration.${name}.${new URL(host).host}`;
}

/** @returns null for an intention of another kind. */
export function readRegistration(item: string): { readonly name: string; readonly host: string } | null {
  const [, name, host] = /^app-registration\.([^.]+)\.(.+)$/.exec(item) ?? [];
  return name !== undefined && host !== undefined ? { name, host } : null;
}

/** It is kept by now: its key cannot be had again. But nobody goes on with it who wanted another. */
function assertOwner({ owner, slug }: AppDescription, organization: string | null): void {
  if (organization === null || owner?.toLowerCase() === organization.toLowerCase()) return;
  throw new AuthError(`The App ${slug} belongs to ${owner ?? 'nobody known'}, not to ${organization}.`, {
    hint: 'If you made it and want it: run the command again without --org. If not: gitlink client list, gitlink client remove',
  });
}

/**
 * Keeps an app that exists, once its host has accepted the key.
 *
 * @throws AuthError when the host refuses the key, UsageError when it is none.
 */
export async function addApp(
  context: OperationContext,
  storage: Storage,
  { provider, description }: RecognisedHost,
  { id, key, clientSecret, caFile }: GivenApp,
): Promise<AppClient> {
  const support = requireApps(provider);
  context.reporter.status('Checking the App…');
  const access = await openAppAccess(context, provider, description, { id, key }, caFile);
  const found: AppDescription = await support.describe(access);
  const { host } = description;
  const app = { provider: provider.id, host, description: found, key, clientSecret, webhook: null };
  return keepApp(context, storage, app);
}

export interface GivenApp {
  readonly id: string;
  readonly key: Secret;
  /** Null where it is not known. */
  readonly clientSecret: Secret | null;
  readonly caFile: string | null;
}
