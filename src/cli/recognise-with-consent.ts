import { CancelledError } from '../errors.ts';
import { toDisplayHost, toUnicodeHost } from '../http/base-url.ts';
import { recogniseHost, type HostQuestion, type RecognisedHost } from '../operations/recognise-host.ts';
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
  // Nobody needs to be told what gitlab.com is.
  if (recognised.provider.defaultHost !== host) {
    reporter.note(`${toDisplayHost(host)}${decoded === null ? '' : ` (${decoded})`} is ${what}.`);
  }
  if (!isKnown && recognised.provider.defaultHost !== host && prompter.canAsk) {
    const isWanted = await prompter.confirm(`Send your credential to ${host}?`, true);
    if (!isWanted) throw new CancelledError('Nothing was sent.');
  }
  return recognised;
}
