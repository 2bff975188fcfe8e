import { assertTellable, ForeignAnswerError, UsageError } from '../errors.ts';
import { parseHost, toDisplayHost } from '../http/base-url.ts';
import type { HostDescription, Provider } from '../providers/provider.ts';
import { providers } from '../providers/registry.ts';
import { environmentId } from '../store/environment-records.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { updateLink } from './change-link.ts';
import type { OperationContext } from './context.ts';
import { openLink, type OpenLink } from './host-access.ts';
import { openAnonymous } from './open-anonymous.ts';

export interface HostQuestion {
  /** What the person named: a base URL, or any URL of the host such as that of a repository. */
  readonly address: string;
  /** The provider that the person named; null to find out. */
  readonly provider: Provider | null;
  /** What the person named on a host that serves many organizations; null for none. */
  readonly organization: string | null;
  readonly caFile: string | null;
  readonly allowHttp: boolean;
}

export interface RecognisedHost {
  readonly provider: Provider;
  readonly description: HostDescription;
}

/**
 * Asks an address what it is, before any credential is sent there. An address with a path may be that of a
 * page, so shorter and shorter ones are tried.
 *
 * @throws UsageError when it is none of the wanted products.
 * @throws UnreachableError when it does not answer, or with something that is no data.
 */
export async function recogniseHost(
  context: OperationContext,
  question: HostQuestion,
): Promise<RecognisedHost> {
  const candidates = question.provider ? [question.provider] : providers;
  // Names of repositories may be escaped; those of hosts are not.
  const address = question.address.replace(/\/[^/]*%.*$/, '');
  const base = parseHost(address, { allowHttp: question.allowHttp });
  let foreignAnswer: ForeignAnswerError | null = null;
  for (const host of toShorterAddresses(base)) {
    for (const provider of candidates) {
      context.reporter.status(`Asking ${toDisplayHost(host)} what it is…`);
      try {
        const description = await askHost(context, provider, host, question);
        if (description !== null) return { provider, description };
      } catch (error) {
        // One product answers the question for another with its sign-in page.
        if (!(error instanceof ForeignAnswerError)) throw error;
        foreignAnswer ??= error;
      }
    }
  }
  if (foreignAnswer !== null) throw foreignAnswer;
  const wanted = candidates.map((provider) => provider.displayName).join(', ');
  throw new UsageError(`${toDisplayHost(base)} is not ${wanted}: it does not know the API.`, {
    hint: `Check the address; an instance below a path needs it. To find out what is there: gitlink link ${base}`,
  });
}

async function askHost(
  context: OperationContext,
  provider: Provider,
  host: string,
  { caFile, organization }: HostQuestion,
): Promise<HostDescription | null> {
  const anonymous = await openAnonymous(context, provider, host, caFile);
  return provider.recognise(host, anonymous, organization);
}

/**
 * Opens a link whose host's version is known as far as the host tells it. A stored link was told when it was made;
 * of the environment's nobody has asked yet. Signed in, as some hosts tell nobody else.
 */
export async function openWithVersion(
  context: OperationContext,
  link: LinkRecord,
  signal: AbortSignal,
): Promise<OpenLink> {
  const open = await openLink(context, link, signal);
  if (link.id !== environmentId || link.hostVersion !== null) return open;
  const hostVersion = await askVersion(open);
  const known = await updateLink(context, link.id, (record) => ({ ...record, hostVersion }));
  return openLink(context, known ?? link, signal);
}

/** @returns null also where the question fails: nothing but the version depends on it. */
async function askVersion({ link, provider, access }: OpenLink): Promise<string | null> {
  try {
    return (await provider.recognise(link.host, access.http, link.organization))?.version ?? null;
  } catch (error) {
    assertTellable(error);
    return null;
  }
}

/** `https://acme.dev/gitea/team/site` → itself, `…/gitea/team`, `…/gitea`, `https://acme.dev`. */
function toShorterAddresses(base: string): string[] {
  const [, origin = '', path = ''] = /^(https?:\/\/[^/]+)(\/.*)?$/.exec(base) ?? [];
  const segments = path.split('/').filter((segment) => segment !== '');
  return segments
    .map((_, index) => `${origin}/${segments.slice(0, segments.length - index).join('/')}`)
    .concat(origin);
}
