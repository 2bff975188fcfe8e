import { assertTellable } from '../../errors.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import type { OperationContext } from '../context.ts';
import { requireProvider } from '../link-faults.ts';
import type { KeptToken } from '../minted-tokens.ts';
import { openAnonymous } from '../open-anonymous.ts';
import { isAccepted } from '../host-access.ts';
import { openAppOf, requireApps, requireAppOf } from './open-app.ts';
import { requireInstallation } from './mint-token.ts';

/** Something of an app that stays when a link of it goes, and where a person ends it. */
export interface LeftOfApp {
  readonly what: string;
  readonly url: string;
}

/** Takes the app off the account of a link, for everybody. */
export async function uninstallApp(context: OperationContext, link: LinkRecord): Promise<'removed' | 'gone'> {
  const { support, access } = await openAppOf(context, link);
  return support.uninstall(access, requireInstallation(link));
}

/** Whether the host refuses every token that an app has minted for a link. */
export async function isEveryTokenRefused(
  context: OperationContext,
  link: LinkRecord,
  minted: readonly KeptToken[],
): Promise<boolean> {
  const provider = requireProvider(link);
  const support = requireApps(provider);
  const http = await openAnonymous(context, provider, link.host, link.caFile);
  for (const { token } of minted) {
    if (await isAccepted(() => support.probe(http, token))) return false;
  }
  return true;
}

/**
 * What stays of an app when a link of it goes: its installation, unless that was removed, and the app itself with the
 * last link of it.
 */
export async function listLeftOfApp(
  context: OperationContext,
  link: LinkRecord,
  isInstalled: boolean,
): Promise<readonly LeftOfApp[]> {
  const records = context.links.read();
  const { app, clientId, id } = requireAppOf(records, link);
  const support = requireApps(requireProvider(link));
  const isLast = !records.links.some((other) => other.id !== link.id && other.client === id);
  return [
    ...(isInstalled
      ? [
          {
            what: `the App ${app.slug} is still installed on ${link.account.login ?? 'the account'}`,
            url: await findInstallationPage(context, link, support.installPage(app.pageUrl)),
          },
        ]
      : []),
    ...(isLast
      ? [
          {
            what: `the App ${app.slug} itself, whose key stays here for the next link (gitlink client remove ${clientId})`,
            url: support.settingsPage(link.host, app),
          },
        ]
      : []),
  ];
}

/** Its own page where the host tells it now; whoever goes there anyway finds the way from the other. */
async function findInstallationPage(
  context: OperationContext,
  link: LinkRecord,
  otherwise: string,
): Promise<string> {
  if (link.account.id === null) return otherwise;
  try {
    const { support, access } = await openAppOf(context, link);
    return (await support.findInstallation(access, link.account.id))?.pageUrl ?? otherwise;
  } catch (error) {
    assertTellable(error);
    return otherwise;
  }
}
