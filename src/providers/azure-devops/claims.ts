import type { Secret } from '../../secret.ts';
import * as v from 'valibot';

/** What a token of Entra says of itself. Officially nobody's business but Azure DevOps', so only ever a hint. */
const claims = v.object({
  aud: v.nullish(v.string()),
  iss: v.nullish(v.string()),
  exp: v.nullish(v.number()),
  scp: v.nullish(v.string()),
});

export type Claims = v.InferOutput<typeof claims>;

/** @returns null for what is no JSON Web Token, and for one that is encrypted. */
export function readClaims(token: Secret): Claims | null {
  return derive(token, (jwt) => {
    try {
      const payload = Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8');
      const read = v.safeParse(claims, JSON.parse(payload));
      return read.success ? read.output : null;
    } catch {
      return null;
    }
  });
}

/** Reads off a secret what is none: what it says of itself, or a digest. */
export function derive<T>(secret: Secret, read: (value: string) => T): T {
  const results: T[] = [];
  secret.map((value) => {
    results.push(read(value));
    return value;
  });
  return results[0] as T;
}
