import type { Secret } from '../secret.ts';
import type { Session } from './session.ts';

/**
 * Prints a secret that a person asked for. CI systems that mask values in their logs are told of it first, on
 * standard error, because standard output is data.
 *
 * @param document - The JSON document that holds the secret.
 */
export function printSecret(session: Session, secret: Secret, document: object): void {
  const { output, reporter, runtime } = session;
  reporter.clear();
  if (runtime.env['GITHUB_ACTIONS'] === 'true') runtime.stderr.write(`::add-mask::${secret.reveal()}\n`);
  if (runtime.env['TF_BUILD'] === 'True') {
    runtime.stderr.write(`##vso[task.setsecret]${secret.reveal()}\n`);
  }
  if (output.isTerminal) reporter.note('What follows is a secret.');
  output.data(secret.reveal());
  output.document(document);
}
