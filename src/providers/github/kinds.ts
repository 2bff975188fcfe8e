import type { Secret } from '../../secret.ts';
import { installationKind, signInKind, type Credential } from '../provider.ts';

/** A classic token: its scopes hold wherever its owner has a role. */
export const classicKind = 'personal-access-token';
/** A token with permissions for repositories of one owner. */
export const fineGrainedKind = 'fine-grained-token';
/** Of before 2021, without a prefix; nobody can tell whether a person or a program made it. */
const legacyKind = 'legacy-token';
/** A sign-in's token that another program obtained and a person pasted: gitlink cannot renew it. */
export const pastedSignInKind = 'oauth-token';

/**
 * Tokens by their prefix, and by nothing else of their shape: installation tokens grew from 40 characters to 520
 * in 2026, and others will.
 *
 * @see https://github.blog/changelog/2026-05-15-github-app-installation-tokens-per-request-override-header/
 */
const prefixes: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [/^ghp_/, classicKind],
  [/^github_pat_/, fineGrainedKind],
  [/^gh[ou]_/, pastedSignInKind],
  [/^ghs_/, installationKind],
  [/^[0-9a-f]{40}$/, legacyKind],
];

/**
 * The kind of a credential. A token of an unknown shape is worth asking the host about; one that gitlink obtains by
 * itself may not be there yet.
 */
export function findKind({ kind, token }: Pick<Credential, 'kind' | 'token'>): string {
  if (kind === signInKind || kind === installationKind) return kind;
  return prefixes.find(([pattern]) => token.matches(pattern))?.[1] ?? classicKind;
}

/** Whether a token is that of a person by way of a GitHub App: it reaches what both may, and has no scopes. */
export function isAppUser(token: Secret): boolean {
  return token.matches(/^ghu_/);
}
