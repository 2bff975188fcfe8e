import { StorageError } from '../errors.ts';
import type { Credential } from '../providers/provider.ts';
import { Secret } from '../secret.ts';

/** How a credential lies in a secret store: one JSON text, so that a kind and later a second token fit in. */
export function packCredential(credential: Credential): Secret {
  return new Secret(JSON.stringify({ version: 1, kind: credential.kind, token: credential.token.reveal() }));
}

/** @throws StorageError when the item is not what gitlink wrote; its text is never quoted. */
export function unpackCredential(item: Secret): Credential {
  let parsed: unknown;
  try {
    parsed = JSON.parse(item.reveal());
  } catch {
    parsed = null;
  }
  const { kind, token } = (parsed ?? {}) as { kind?: unknown; token?: unknown };
  if (typeof kind === 'string' && typeof token === 'string') return { kind, token: new Secret(token) };
  throw new StorageError('The stored credential cannot be read: something else has written to its place.', {
    hint: 'Store a new one with: gitlink relink',
  });
}

/** The item that holds a link's credential; every new credential gets a name of its own. */
export function nameCredentialItem(linkId: string, generation: string): string {
  return `credential.${linkId}.${generation}`;
}

/** The item that holds a secret of a link's webhooks. */
export function nameWebhookItem(linkId: string, generation: string): string {
  return `webhook.${linkId}.${generation}`;
}
