import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { Session } from './session.ts';

/**
 * Prints a secret that a person asked for. CI systems that mask values in their logs are told of it first, on
 * standard error, because standard output is data.
 *
 * @param document - The JSON document that holds the secret.
 * @param isKnownToCi - Whether it came from the CI system's own variables, which it masks by itself.
 */
export function printSecret(session: Session, secret: Secret, document: object, isKnownToCi = false): void {
  const { output, reporter } = session;
  reporter.clear();
  if (!isKnownToCi) maskInLogs(session, secret);
  if (output.isTerminal) reporter.note('What follows is a secret.');
  output.data(secret.reveal());
  output.document(document);
}

/** Tells a CI system that masks values in its logs of one. */
export function maskInLogs({ runtime }: Session, secret: Secret): void {
  if (runtime.env['GITHUB_ACTIONS'] === 'true') runtime.stderr.write(`::add-mask::${secret.reveal()}\n`);
  if (runtime.env['TF_BUILD'] === 'True') {
    runtime.stderr.write(`##vso[task.setsecret]${secret.reveal()}\n`);
  }
}

/** A restriction that only gitlink knows does not travel with the token. */
export function warnOfReach({ reporter }: Session, { name }: LinkRecord): void {
  reporter.warn(
    `gitlink looks at the restriction of "${name}", the host does not: the token itself reaches further.`,
  );
}
