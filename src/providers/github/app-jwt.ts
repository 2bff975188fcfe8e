import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { UsageError } from '../../errors.ts';
import type { Route } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import { Secret } from '../../secret.ts';
import type { AppIdentity } from '../app-support.ts';

/** Clocks differ: an App must not seem to sign in the future, nor for longer than ten minutes. */
const backdatingS = 60;
const lifeS = 9 * 60;

/**
 * Signs the token by which an App speaks for itself, good for some minutes (RS256). Its issuer is the App's number,
 * which every release takes.
 *
 * @param now - The host's time, in milliseconds since the epoch.
 * @see https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
 * @throws UsageError for a key that is none.
 */
export function signAppToken({ id, key }: AppIdentity, now: number): Secret {
  const time = Math.floor(now / 1000);
  const claims = { iat: time - backdatingS, exp: time + lifeS, iss: id };
  const signed = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  const signature = sign('RSA-SHA256', Buffer.from(signed), readKey(key));
  return new Secret(`${signed}.${signature.toString('base64url')}`);
}

/** Where the code of a registration is exchanged: GitHub wants it in the path. */
export function toConversionRoute(code: Secret): Route {
  return route`/app-manifests/${code.reveal()}/conversions`;
}

function encode(part: Readonly<Record<string, unknown>>): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** In variables of CI services the line breaks of a key are often written out. */
function readKey(key: Secret): KeyObject {
  let read: KeyObject | null = null;
  try {
    read = createPrivateKey(key.reveal().replaceAll('\\n', '\n'));
  } catch {
    // The platform's reason may quote what it was given.
  }
  if (read?.asymmetricKeyType === 'rsa') return read;
  throw new UsageError('This is not the private key of a GitHub App.', {
    hint: 'It takes the .pem file that GitHub gave when the key was made, with its first and last line.',
  });
}
