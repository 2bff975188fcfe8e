import { UnsupportedError, UsageError } from '../errors.ts';
import { parseHost } from '../http/base-url.ts';
import type { Provider } from '../providers/provider.ts';
import { webhookEvents, type WebhookAdmin, type WebhookEvent } from '../providers/webhook-support.ts';
import type { LinkRecord, WebhookTarget } from '../store/link-schema.ts';
import type { Settings } from '../store/settings.ts';

/** Where the link's repositories deliver to, and how. */
export interface Target {
  readonly url: string;
  /** gitlink's words and `native:…`. */
  readonly events: readonly string[];
  /** The host's names for them. */
  readonly nativeEvents: readonly string[];
  readonly at: WebhookTarget['at'];
}

export interface TargetWish {
  readonly url: string | null;
  readonly events: readonly string[] | null;
  readonly at: WebhookTarget['at'] | null;
  readonly allowHttp: boolean;
}

/** What webhooks tell about where nobody says. */
export const defaultEvents: readonly string[] = ['push', 'pull-request'];

/** @throws UnsupportedError when the provider has no webhooks. */
export function requireWebhooks(provider: Provider): WebhookAdmin {
  if (provider.webhooks) return provider.webhooks;
  throw new UnsupportedError(`${provider.displayName} has no webhooks that gitlink can manage.`);
}

/**
 * Settles the target: what was asked for now, else what the link has, else the preferences.
 *
 * @throws UsageError when there is no URL, or a word that the host lacks.
 */
export function settleTarget(
  link: LinkRecord,
  provider: Provider,
  admin: WebhookAdmin,
  settings: Settings,
  wish: TargetWish,
): Target {
  const url = wish.url ?? link.webhook?.url ?? settings.get('webhook-url');
  if (url === null) {
    throw new UsageError('gitlink does not know where the webhooks should deliver to.', {
      hint: `Name the address: gitlink regenerate-webhooks ${link.name} --url https://ci.acme.dev/hook`,
    });
  }
  const events =
    wish.events ?? link.webhook?.events ?? settings.get('webhook-events')?.split(',') ?? defaultEvents;
  const at = wish.at ?? link.webhook?.at ?? 'repositories';
  if (at === 'app') {
    throw new UnsupportedError(`"${link.name}" is no App, so there is no webhook of one.`, {
      hint: 'Use --at repositories',
    });
  }
  if (!admin.levels.includes(at === 'repositories' ? 'repository' : at)) {
    throw new UnsupportedError(`${provider.displayName} has no webhooks at ${at}.`, {
      hint: 'Use --at repositories',
    });
  }
  return {
    url: assertDeliverable(url, wish.allowHttp || link.webhook?.url === url),
    events,
    nativeEvents: toNativeEvents(provider, admin.events, events),
    at,
  };
}

/** The target of a link that has no webhooks yet. */
export function toInitialTarget(url: string, allowHttp: boolean): WebhookTarget {
  return {
    url: assertDeliverable(url, allowHttp),
    events: [...defaultEvents],
    at: 'repositories',
    regeneratedAt: null,
    secretItem: null,
    nextSecretItem: null,
  };
}

/** @throws UsageError for an address that hosts do not deliver to, or that carries credentials. */
export function assertDeliverable(url: string, allowHttp: boolean): string {
  const parsed = parsePlainUrl(url);
  if (!parsed) throw toUrlError(url);
  if (parsed.protocol === 'http:' && !allowHttp) {
    throw new UsageError('Deliveries to an http address can be read and changed on their way.', {
      hint: 'Use https, or say that you accept it: --allow-http',
    });
  }
  parseHost(parsed.origin, { allowHttp: true });
  return url;
}

/** @returns null for anything but an http address without credentials and fragment. */
function parsePlainUrl(url: string): URL | null {
  if (!/^https?:\/\/[^\s\\@#]+$/i.test(url) || !URL.canParse(url)) return null;
  const parsed = new URL(url);
  return parsed.username === '' && parsed.password === '' ? parsed : null;
}

function toUrlError(url: string): UsageError {
  if (!url.includes('://') && parsePlainUrl(`https://${url}`)) {
    return new UsageError('The webhook URL has no scheme.', {
      hint: 'Write https:// in front of it, as in https://ci.acme.dev/hook',
    });
  }
  return new UsageError('The webhook URL must look like https://ci.acme.dev/hook.', {
    hint: url.includes('@')
      ? 'Credentials do not belong into it: the secret of the webhook is made by gitlink.'
      : 'It begins with https:// and has no spaces, no backslash and no #.',
  });
}

/**
 * Turns gitlink's words into the host's.
 *
 * @param known - What the host has for each word, at the place where the webhook is.
 * @throws UsageError for a word that it lacks.
 */
export function toNativeEvents(
  provider: Provider,
  known: WebhookAdmin['events'],
  events: readonly string[],
): string[] {
  const native = events.flatMap((word) => {
    if (word.startsWith('native:') && word.length > 7) return [word.slice(7)];
    const names = isEvent(word) ? known[word] : undefined;
    if (names) return [...names];
    throw new UsageError(`${provider.displayName} has no event "${word}".`, {
      hint: `There are ${webhookEvents.filter((event) => known[event]).join(', ')}, and native:<name> for the host's own.`,
    });
  });
  return [...new Set(native)];
}

function isEvent(word: string): word is WebhookEvent {
  return webhookEvents.some((event) => event === word);
}
