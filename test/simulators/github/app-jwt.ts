import { verify } from 'node:crypto';
import type { GithubApp } from './app-state.ts';
import { isRecord, refuse, type GithubContext, type Refusal } from './call.ts';

/** A header, claims and a signature. Installation tokens have dots too, so their prefix must be looked at first. */
export function looksLikeJwt(secret: string): boolean {
  return /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(secret);
}

const longestLifeS = 600;

/** Clocks may differ by so much before a request counts as one from the future. */
const toleranceS = 60;

/**
 * Finds the app that signed a request (`providers/github.md` §2.2).
 *
 * @throws Refusal 401; 404 for an app that there is not.
 */
export function verifyJwt({ state, now }: Pick<GithubContext, 'state' | 'now'>, jwt: string): GithubApp {
  const [head = '', claims = '', signature = ''] = jwt.split('.');
  const header = decode(head);
  const payload = decode(claims);
  if (!header || !payload || header['alg'] !== 'RS256') throw refuseJwt();
  const { iss, iat, exp } = payload;
  if (typeof iss !== 'string' && typeof iss !== 'number') {
    throw refuse(401, "'Issuer' claim ('iss') must be an Integer");
  }
  const app = [...state.apps.values()].find(
    ({ id, client }) => String(id) === String(iss) || client.clientId === iss,
  );
  if (!app) throw refuse(404, 'Integration not found');
  const signed = Buffer.from(`${head}.${claims}`);
  const bytes = Buffer.from(signature, 'base64url');
  if (!app.publicKeys.some((key) => verify('RSA-SHA256', signed, key, bytes))) throw refuseJwt();
  const time = Math.floor(now() / 1000);
  if (!Number.isInteger(exp) || (exp as number) <= time) {
    throw refuse(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  }
  if ((exp as number) > time + longestLifeS) {
    throw refuse(401, "'Expiration time' claim ('exp') is too far in the future");
  }
  if (!Number.isInteger(iat) || (iat as number) > time + toleranceS) {
    throw refuse(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  }
  return app;
}

function refuseJwt(): Refusal {
  return refuse(401, 'A JSON web token could not be decoded');
}

function decode(part: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}
