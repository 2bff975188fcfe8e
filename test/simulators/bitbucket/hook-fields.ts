import { isRecord, refuse, refuseFields, type Call } from './call.ts';
import { catalogue } from './hook-events.ts';
import type { HookPlace } from './hook-state.ts';

/** A hook as somebody sent it. */
export interface SentHook {
  readonly url: string;
  readonly description: string;
  readonly active: boolean;
  readonly events: readonly string[];
  /** Undefined where it was left out; null takes it away. */
  readonly secret: string | null | undefined;
  readonly skipsCertificate: boolean;
  readonly keepsHistory: boolean;
}

const fieldTypes: Readonly<Record<string, readonly string[]>> = {
  url: ['string'],
  description: ['string'],
  active: ['boolean'],
  events: ['array'],
  secret: ['string', 'null'],
  skip_cert_verification: ['boolean'],
  history_enabled: ['boolean'],
};

/** What the API tells of a hook and nobody can change; sending it back does no harm. */
const readOnly = ['type', 'uuid', 'subject_type', 'subject', 'created_at', 'secret_set', 'links'];

const maxSecretLength = 128;

/**
 * Reads the body of a writing call. What becomes of fields that are left out is not documented, so those that a
 * hook should have fail the test, and the others are as if they had been switched off.
 *
 * @throws Refusal 400 with what is wrong, by field.
 */
export function readHook(call: Call, level: HookPlace['level']): SentHook {
  const body = readBody(call);
  const { url, events, secret } = body;
  const errors: Record<string, readonly string[]> = {};
  const urlError = judgeUrl(url, call.settings.allowsLoopback);
  if (urlError !== null) errors['url'] = [urlError];
  const eventError = judgeEvents(events, catalogue[level]);
  if (eventError !== null) errors['events'] = [eventError];
  if (typeof secret === 'string' && secret.length > maxSecretLength) {
    errors['secret'] = [`Ensure this value has at most ${maxSecretLength} characters.`];
  }
  if (Object.keys(errors).length > 0) throw refuseFields(errors);
  return {
    url: url as string,
    events: events as readonly string[],
    description: typeof body['description'] === 'string' ? body['description'] : '',
    active: body['active'] === true,
    secret: secret === undefined ? undefined : typeof secret === 'string' && secret !== '' ? secret : null,
    skipsCertificate: body['skip_cert_verification'] === true,
    keepsHistory: body['history_enabled'] === true,
  };
}

function readBody({ request }: Call): Readonly<Record<string, unknown>> {
  const { body, headers, recordFailure } = request;
  if (!headers['content-type']?.startsWith('application/json') || !isRecord(body)) {
    recordFailure('a body that is no JSON object');
    throw refuse(400, 'Bad request', { detail: 'Unable to parse JSON.' });
  }
  for (const [name, value] of Object.entries(body)) {
    if (readOnly.includes(name)) continue;
    const types = fieldTypes[name];
    const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
    if (!types) recordFailure(`unknown field "${name}" in the body`);
    else if (!types.includes(type)) {
      recordFailure(`field "${name}" of the wrong type in the body`);
      throw refuseFields({ [name]: ['Not a valid value.'] });
    }
  }
  for (const name of ['description', 'active']) {
    if (!(name in body)) recordFailure(`a hook without "${name}": nobody knows what becomes of it`);
  }
  return body;
}

function judgeEvents(value: unknown, known: readonly string[]): string | null {
  if (!Array.isArray(value)) return 'This field is required.';
  if (value.length === 0) return 'At least one event is required.';
  if (new Set(value).size < value.length) return 'Events must be unique.';
  const unknown: unknown = value.find((event) => !known.includes(event as string));
  return unknown === undefined ? null : `Invalid event: ${JSON.stringify(unknown)}`;
}

/** Addresses that lead nowhere outside. */
const internalHost =
  /^(0\.|10\.|127\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.|\[(::1?\]|f[cd]|fe80)|[^.]+$)|\.(local|internal|localhost)$/;
const loopbackHosts = ['127.0.0.1', '[::1]', 'localhost'];

function judgeUrl(value: unknown, allowsLoopback: boolean): string | null {
  if (typeof value !== 'string') return 'This field is required.';
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) return 'Enter a valid URL.';
  if (allowsLoopback && loopbackHosts.includes(url.hostname)) return null;
  const isInternal = internalHost.test(url.hostname) && !/^\[2/.test(url.hostname);
  return isInternal ? 'The URL must resolve to a public address.' : null;
}
