import { capabilityWords, judgeScopes } from '../operations/judge-scopes.ts';
import type { VerifiedCredential } from '../operations/verify-credential.ts';
import type { Capability } from '../providers/provider.ts';
import type { Session } from './session.ts';

/** Shows the account, what will not work, and what the credential could do beyond its purpose. */
export function describeCredential(
  { reporter }: Session,
  { provider, identity, credential }: VerifiedCredential,
  capabilities: readonly Capability[],
): void {
  const { hindrance } = identity;
  if (hindrance) {
    reporter.warn(`${hindrance.explanation}${hindrance.pageUrl === null ? '' : ` See ${hindrance.pageUrl}`}`);
  }
  if (credential.minted !== undefined) {
    if (hindrance?.status === 'pending') return;
  } else if (identity.account.login === null) {
    reporter.warn('This token may not read its own account, so the account stays unknown.');
  } else {
    const what = credential.signIn === null ? 'It is a token of' : 'Signed in as';
    reporter.note(`${what} ${identity.account.login}.`);
  }
  const judgement = judgeScopes(provider, identity.scopes, capabilities, identity.credentialKind);
  if (judgement === null) {
    reporter.note('The host does not tell what this token may do.');
    return;
  }
  for (const { scope, neededFor } of judgement.missing) {
    reporter.warn(
      `The scope ${scope} is missing: it is needed to ${neededFor.map((name) => capabilityWords[name]).join(' and to ')}.`,
    );
  }
  if (judgement.excess.length > 0) {
    reporter.warn(`The token may do more than is needed: ${judgement.excess.join(', ')}.`);
  }
}
