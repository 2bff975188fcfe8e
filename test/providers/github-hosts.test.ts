import { describe, expect, test } from 'vitest';
import { githubProvider } from '../../src/providers/github/index.ts';
import { sendJson, startServer } from '../http/http-kit.ts';
import { cloud, linkGithub, startGithub } from './github-kit.ts';
import { createSession } from './provider-kit.ts';

const api = (host: string) => githubProvider.toApiBase(host);

describe('the API of a GitHub', () => {
  test.each([
    ['https://github.com', 'https://api.github.com'],
    ['https://www.github.com', 'https://api.github.com'],
    ['https://gist.github.com', 'https://api.github.com'],
    ['https://github.com/acme/api', 'https://api.github.com'],
    ['https://acme.ghe.com', 'https://api.acme.ghe.com'],
    ['https://api.acme.ghe.com', 'https://api.acme.ghe.com'],
    ['https://github.acme.dev', 'https://github.acme.dev/api/v3'],
    ['https://github.acme.dev:8443', 'https://github.acme.dev:8443/api/v3'],
  ])('of %s is %s', (host, base) => expect(api(host)).toBe(base));

  test.each([
    'https://myghe.com',
    'https://acme.myghe.com',
    'https://ghe.com',
    'https://github.com.evil.dev',
    'https://notgithub.com',
    'https://github.com:8443',
    'https://acme.ghe.com.evil.dev',
    'http://github.com',
  ])('%s only looks like one of theirs (§1.1)', (host) => expect(api(host)).toBe(`${host}/api/v3`));
});

describe('recognising a GitHub', () => {
  test.each([
    ['https://www.github.com', 'https://github.com'],
    ['https://acme.ghe.com', 'https://acme.ghe.com'],
  ])('%s is known by its name, and not asked', async (host, canonical) => {
    const silent = { base: api(host), request: () => Promise.reject(new Error('asked')) };
    expect(await githubProvider.recognise(host, silent)).toEqual({
      host: canonical,
      flavour: 'github',
      version: null,
    });
  });

  test('an Enterprise Server tells its version', async () => {
    const { access } = await linkGithub();
    expect(access).toMatchObject({ flavour: 'github-enterprise-server', version: '3.19.1' });
  });

  test.each([
    ['with its headers', true, '3.19.1'],
    ['also behind a proxy that takes its headers away (§13 no. 21)', false, null],
  ])('one in private mode is known %s, and then asked once more', async (_name, tellsVersion, version) => {
    const github = await startGithub({ settings: { privateMode: true, tellsVersion } });
    const session = createSession(githubProvider);
    const strange = await githubProvider.recognise(github.url, session.open(github.url, null).http);
    expect(strange).toEqual({ host: github.url, flavour: 'github-enterprise-server', version });
    const { secret } = github.addToken();
    const known = await githubProvider.recognise(github.url, session.open(github.url, secret).http);
    expect(known?.version).toBe('3.19.1');
  });

  test.each([
    ['its words alone', {}, { message: 'no', documentation_url: 'https://docs.github.com/rest' }],
    ['its request id alone', { 'x-github-request-id': 'CANARY' }, { message: 'no' }],
    ['its challenge alone', { 'www-authenticate': 'Basic realm="GitHub"' }, { message: 'no' }],
  ])('a refusal is its own by %s', async (_name, headers, body) => {
    const server = await startServer((_request, response) => sendJson(response, body, 401, headers));
    const { http } = createSession(githubProvider).open(server.base, null);
    expect(await githubProvider.recognise(server.base, http)).toMatchObject({ version: null });
  });

  test('a refusal in nobody’s words is no GitHub', async () => {
    const server = await startServer((_request, response) => sendJson(response, { message: 'no' }, 401));
    const { http } = createSession(githubProvider).open(server.base, null);
    expect(await githubProvider.recognise(server.base, http)).toBeNull();
  });

  test('every request names the version of the API that it is written for (§0 no. 13)', async () => {
    const { github, access } = await linkGithub(cloud);
    await githubProvider.findRepository(access, 'acme/api');
    expect(github.requests.length).toBeGreaterThan(2);
    for (const { headers } of github.requests) {
      expect(headers).toMatchObject({
        accept: 'application/vnd.github+json',
        'x-github-api-version': '2022-11-28',
      });
    }
  });
});

test('github.com and its tenants are written to once a second, 500 times an hour; other servers as they like', () => {
  const slow = { minWriteIntervalMs: 1_000, writesPerHour: 500 };
  expect(githubProvider.pacingOf?.('https://github.com')).toMatchObject(slow);
  expect(githubProvider.pacingOf?.('https://acme.ghe.com')).toMatchObject(slow);
  expect(githubProvider.pacingOf?.('https://github.acme.dev')).toMatchObject({
    minWriteIntervalMs: 0,
    writesPerHour: null,
  });
});
