import { describe, expect, test } from 'vitest';
import { AuthError, NotFoundError, UnreachableError } from '../../src/errors.ts';
import type { HostClient, HostResponse } from '../../src/http/host-client.ts';
import { parseAddress, parseCloudAddress } from '../../src/providers/azure-devops/places.ts';
import { startServer } from '../http/http-kit.ts';
import { provider, startAzureDevops } from './azure-devops-kit.ts';
import { createSession } from './provider-kit.ts';

const tenant = '11111111-2222-3333-4444-555555555555';
const zero = '00000000-0000-0000-0000-000000000000';

/** A host that answers everything in the same way. */
function answering(status: number, headers: Record<string, string>, body: unknown = null) {
  const asked: string[] = [];
  const client: HostClient = {
    base: 'https://dev.azure.com',
    request: ({ route, headers: sent }) => {
      asked.push(`${route.path} ${sent?.['x-tfs-fedauthredirect'] ?? ''}`);
      return Promise.resolve({ status, headers: new Headers(headers), body } satisfies HostResponse);
    },
  };
  return { client, asked };
}

describe('Azure DevOps Services by its names', () => {
  test.each([
    ['https://dev.azure.com', null],
    ['https://dev.azure.com/acme', 'acme'],
    ['https://dev.azure.com/acme/Shop/_git/api', 'acme'],
    ['https://dev.azure.com/_usersettings', null],
    ['https://acme.visualstudio.com', 'acme'],
    ['https://acme.visualstudio.com/DefaultCollection/Shop/_git/api', 'acme'],
  ])('%s is of the organization %s', (address, organization) => {
    expect(parseCloudAddress(address)).toEqual({ organization });
    expect(provider.toApiBase(address)).toBe('https://dev.azure.com');
  });

  test.each([
    'https://dev.azure.com.evil.example/acme',
    'https://dev.azure.community',
    'http://dev.azure.com/acme',
    'https://a.b.visualstudio.com',
    'https://visualstudio.com',
    'https://acme.visualstudio.com.evil.example',
    'https://app.visualstudio.com',
    'https://tfs.acme.dev/tfs',
  ])('%s is not', (address) => {
    expect(parseCloudAddress(address)).toBeNull();
    expect(provider.toApiBase(address)).toBe(address);
  });

  test('without an organization nobody is asked', async () => {
    const { client, asked } = answering(500, {});
    expect(await provider.recognise('https://dev.azure.com', client)).toMatchObject({
      host: 'https://dev.azure.com',
      flavour: 'azure-devops',
      organization: null,
      tenant: null,
    });
    expect(asked).toEqual([]);
  });

  test('the tenant is that of the organization, told to whoever is not signed in, and every call spares itself the sign-in page', async () => {
    const { client, asked } = answering(401, { 'x-vss-resourcetenant': tenant.toUpperCase() });
    const found = await provider.recognise('https://acme.visualstudio.com/x', client);
    expect(found).toMatchObject({ host: 'https://dev.azure.com', organization: 'acme', tenant });
    expect(asked).toEqual(['/acme Suppress']);
  });

  test.each([
    [
      'the challenge alone',
      {
        'www-authenticate': `Bearer authorization_uri=https://login.microsoftonline.com/${tenant}, Basic realm="x"`,
      },
      tenant,
    ],
    ['a tenant of zeros (AADSTS900021): personal accounts have none', { 'x-vss-resourcetenant': zero }, null],
    ['what is no tenant', { 'x-vss-resourcetenant': 'common/../evil' }, null],
    ['nothing', {}, null],
  ])('tells of %s', async (_name, headers, expected) => {
    const { client } = answering(401, headers);
    expect(await provider.recognise('https://dev.azure.com', client, 'acme')).toMatchObject({
      tenant: expected,
    });
  });

  test('an organization that is not there is said so, and has no credential sent to it', async () => {
    const { client } = answering(404, {});
    await expect(provider.recognise('https://dev.azure.com', client, 'nobody')).rejects.toThrow(
      NotFoundError,
    );
  });
});

describe('an address of another host', () => {
  const server = 'https://tfs.acme.dev';

  test.each([
    [`${server}/tfs/Main`, null, { host: `${server}/tfs`, organization: 'Main', isBelow: false }],
    [`${server}/tfs`, null, { host: `${server}/tfs`, organization: null, isBelow: true }],
    [`${server}/Main`, null, { host: server, organization: 'Main', isBelow: false }],
    [server, null, { host: server, organization: null, isBelow: true }],
    [server, 'Main', { host: server, organization: 'Main', isBelow: true }],
    [`${server}/deep/base`, 'Main', { host: `${server}/deep/base`, organization: 'Main', isBelow: true }],
    [`${server}/deep/main`, 'Main', { host: `${server}/deep`, organization: 'Main', isBelow: false }],
    // One name too many: whoever asks comes again with a shorter one.
    [`${server}/tfs/Main/Shop`, null, null],
    [`${server}/tfs/Main/Shop/_git/api`, null, null],
    [`${server}/deep/Main/Shop`, 'Main', null],
    [`${server}/tfs/_git`, null, null],
  ])('%s with %s', (address, organization, expected) => {
    expect(parseAddress(address, organization)).toEqual(expected);
  });

  test('a server says that it is one, and has no tenant', async () => {
    const azure = await startAzureDevops({ deployment: 'onPremises', basePath: '/tfs' });
    const { http } = createSession(provider).open(azure.url, null);
    const common = { host: azure.url, flavour: 'azure-devops-server', tenant: null };
    expect(await provider.recognise(azure.url, http)).toMatchObject({ ...common, organization: null });
    expect(await provider.recognise(azure.url, http, 'acme')).toMatchObject({
      ...common,
      organization: 'acme',
    });
    const below = createSession(provider).open(`${azure.url}/acme`, null).http;
    expect(await provider.recognise(`${azure.url}/acme`, below)).toMatchObject({
      ...common,
      organization: 'acme',
    });
  });

  test('any server may ask for a credential as Windows does: that alone says nothing', async () => {
    const headers = { 'www-authenticate': 'Negotiate, NTLM' };
    const host = await startServer((_request, response) => response.writeHead(401, headers).end());
    const session = createSession(provider, 'acme');
    expect(await provider.recognise(host.base, session.open(host.base, null).http, 'acme')).toBeNull();
    // Of a known one it is about the credential.
    const known = session.open(host.base, 'pat-canary-windows', { flavour: 'azure-devops-server' });
    expect(await session.fail(provider.identify(known))).toBeInstanceOf(AuthError);
    const cloud = session.open(host.base, 'pat-canary-windows', { flavour: 'azure-devops' });
    expect(await session.fail(provider.identify(cloud))).toBeInstanceOf(UnreachableError);
  });

  test('a test server is Services where it tells a tenant', async () => {
    const azure = await startAzureDevops();
    const { http } = createSession(provider).open(azure.url, null);
    const [acme] = azure.state.organizations;
    expect(await provider.recognise(azure.url, http, 'acme')).toMatchObject({
      flavour: 'azure-devops',
      tenant: acme?.tenant,
    });
    // Backed by personal Microsoft accounts, and answers strangers.
    expect(await provider.recognise(azure.url, http, 'homebrew')).toMatchObject({
      flavour: 'azure-devops',
      tenant: null,
    });
  });
});

test('an organization that welcomes strangers tells its tenant on its page', async () => {
  const azure = await startAzureDevops({
    world: {
      users: [{ login: 'ada', tenant: 'acme' }],
      organizations: [
        { name: 'open', tenant: 'acme', members: { ada: 'administrator' }, answersAnonymous: true },
      ],
    },
  });
  const { http } = createSession(provider).open(azure.url, null);
  expect(await provider.recognise(azure.url, http, 'open')).toMatchObject({
    tenant: azure.state.organizations[0]?.tenant,
  });
});

describe('the version of the API', () => {
  test.each([
    ['7.2', ['7.0-preview']],
    ['7.0', ['7.0-preview']],
    ['6.0', ['7.0-preview', '6.0-preview']],
    ['5.0', ['7.0-preview', '6.0-preview', '5.0-preview']],
  ])('a server with %s is asked for %j', async (highestVersion, expected) => {
    const azure = await startAzureDevops({ deployment: 'onPremises', basePath: '/tfs', highestVersion });
    const session = createSession(provider, 'acme');
    const access = session.open(azure.url, azure.addToken().secret);
    await provider.identify(access);
    expect(azure.requests.map(({ query }) => query['api-version'])).toEqual(expected);
    azure.clearRequests();
    // What was found out is known from then on.
    await provider.identify(access);
    expect(azure.requests.map(({ query }) => query['api-version'])).toEqual(expected.slice(-1));
  });
});
