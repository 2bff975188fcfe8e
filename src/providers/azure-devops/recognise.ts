import { NotFoundError } from '../../errors.ts';
import type { HostClient, HostResponse, Route } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { HostDescription } from '../provider.ts';
import { ask, isOwnWord } from './ask.ts';
import { cloudHost } from './pages.ts';
import { parseAddress, parseCloudAddress, serverFlavour } from './places.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

const guid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** Said of organizations that are backed by personal Microsoft accounts: there is no such directory. */
const noTenant = '00000000-0000-0000-0000-000000000000';

/**
 * Asks an organization who it is. Without a credential it refuses, and the headers of that tell the tenant. Services
 * is known by its names; there only the organization is asked for.
 *
 * @throws NotFoundError for an organization that was named and is not there.
 */
export async function recognise(
  host: string,
  http: HostClient,
  named: string | null = null,
): Promise<HostDescription | null> {
  const cloud = parseCloudAddress(host);
  if (cloud !== null) {
    const organization = named ?? cloud.organization;
    const description = { host: cloudHost, flavour: 'azure-devops', version: null, organization };
    if (organization === null) return { ...description, tenant: null };
    const page = await openPage(http, route`/${organization}`);
    assertFound(cloudHost, organization, page);
    return { ...description, tenant: toUsableTenant(findTenant(page)) };
  }
  const place = parseAddress(host, named);
  if (place === null) return null;
  const { organization, isBelow } = place;
  const isAsked = organization !== null && isBelow;
  const answer = await question(
    http,
    isAsked ? route`/${organization}/_apis/connectionData` : route`/_apis/connectionData`,
  );
  const found = v.safeParse(schemas.connection, answer.body);
  if (!found.success && !isOwnWord(answer)) return null;
  if (named !== null) assertFound(place.host, named, answer);
  else if (answer.status === 404 && organization !== null) return null;
  const isHosted = found.success && found.output.deploymentType === 'hosted';
  // Strangers are welcome there, and get no headers that would help them in.
  const isOpen = isHosted && isAsked && findTenant(answer) === null;
  const tenant = findTenant(isOpen ? await openPage(http, route`/${organization}`) : answer);
  // Without an organization a server asks for a credential; Services has nothing there.
  const isServices = tenant !== null || isHosted || answer.status === 404;
  return {
    host: place.host,
    flavour: isServices ? 'azure-devops' : serverFlavour,
    version: null,
    organization,
    tenant: toUsableTenant(tenant),
  };
}

/** Opens the page of an organization as somebody who is not signed in. What it shows does not matter. */
function openPage(http: HostClient, where: Route): Promise<HostResponse> {
  return http.request({
    method: 'GET',
    route: where,
    headers: { 'x-tfs-fedauthredirect': 'Suppress' },
    accept: [200, 203, 301, 302, 303, 307, 308, 400, 401, 403, 404],
  });
}

function question(http: HostClient, where: Route): Promise<HostResponse> {
  const accept = [203, 400, 401, 403, 404, 405, 410];
  return ask(http, { method: 'GET', route: where, isPreview: true, accept });
}

function assertFound(host: string, organization: string, { status }: HostResponse): void {
  if (status !== 404) return;
  throw new NotFoundError(`There is no organization "${organization}" at ${host}.`, {
    hint: 'It is the first name in the address of its page, such as acme in https://dev.azure.com/acme. It may have another name by now.',
  });
}

/** The tenant that an organization names to whoever is not signed in; null where it names none. */
function findTenant({ headers }: HostResponse): string | null {
  const told = headers.get('x-vss-resourcetenant')?.trim().toLowerCase() ?? '';
  if (new RegExp(`^${guid}$`).test(told)) return told;
  const ways = headers.get('www-authenticate')?.toLowerCase() ?? '';
  return new RegExp(`authorization_uri="?https?://[^\\s",]+/(${guid})(?![\\w-])`).exec(ways)?.[1] ?? null;
}

function toUsableTenant(tenant: string | null): string | null {
  return tenant === noTenant ? null : tenant;
}

/** Where the people of an organization sign in: `personal` for Microsoft accounts, null where nobody does. */
export async function findSignInPlace(
  web: HostClient,
  organization: string,
): Promise<{ readonly tenant: string } | 'personal' | null> {
  const tenant = findTenant(await openPage(web, route`/${organization}`));
  if (tenant === null) return null;
  return tenant === noTenant ? 'personal' : { tenant };
}
