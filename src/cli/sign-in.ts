import { CancelledError, UnsupportedError, UsageError } from '../errors.ts';
import { toDisplayHost, toUnicodeHost } from '../http/base-url.ts';
import { capabilityWords, judgeScopes } from '../operations/judge-scopes.ts';
import { verifyCredential, type VerifiedCredential } from '../operations/link-account.ts';
import { recogniseHost, type HostQuestion, type RecognisedHost } from '../operations/recognise-host.ts';
import type { Capability } from '../providers/provider.ts';
import { obtainToken, readCapabilities, type CredentialFlags } from './credential-flags.ts';
import type { Session } from './session.ts';

/**
 * Finds out what is at an address, and shows it before any credential goes there. Naming the host is consent
 * where there is no terminal.
 */
export async function recogniseWithConsent(
  session: Session,
  question: HostQuestion,
  isKnown: boolean,
): Promise<RecognisedHost> {
  const { reporter, prompter } = session;
  const recognised = await recogniseHost(session.context, question);
  const { host, flavour, version } = recognised.description;
  const what = `${flavour}${version === null ? '' : ` ${version}`}`;
  const decoded = toUnicodeHost(host);
  reporter.note(`${toDisplayHost(host)}${decoded === null ? '' : ` (${decoded})`} is ${what}.`);
  if (!isKnown && recognised.provider.defaultHost !== host && prompter.canAsk) {
    const isWanted = await prompter.confirm(`Send your credential to ${host}?`, true);
    if (!isWanted) throw new CancelledError('Nothing was sent.');
  }
  return recognised;
}

/** Gets a credential and has the host verify it, then says what it may and may not do. */
export async function signIn(
  session: Session,
  { provider, description }: RecognisedHost,
  flags: CredentialFlags,
): Promise<VerifiedCredential> {
  if (flags.method !== undefined && flags.method !== 'token') {
    throw new UnsupportedError(`${provider.displayName} cannot be linked by ${flags.method} yet.`, {
      hint: 'Use a token: --method token',
    });
  }
  const capabilities = readCapabilities(flags.for);
  const token = await obtainToken(session, provider, description.host, flags);
  if (!token.isPrintableAscii)
    throw new UsageError('A token holds visible ASCII characters only; this is none.');
  const credential = { kind: 'token', token };
  const verified = await verifyCredential(session.context, provider, description, credential, {
    caFile: flags.caFile ?? null,
  });
  describeCredential(session, verified, capabilities);
  return verified;
}

/** Shows the account, what will not work, and what the credential could do beyond its purpose. */
function describeCredential(
  { reporter }: Session,
  { provider, identity }: VerifiedCredential,
  capabilities: readonly Capability[],
): void {
  if (identity.account.login === null) {
    reporter.warn('This token may not read its own account, so the account stays unknown.');
  } else {
    reporter.note(`It is a token of ${identity.account.login}.`);
  }
  const judgement = judgeScopes(provider, identity.scopes, capabilities);
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
