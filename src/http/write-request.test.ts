import { expect, it } from 'vitest';
import { Secret } from '../secret.ts';
import { route } from './route.ts';
import { writeRequest } from './write-request.ts';

const trustedOrigins = new Set(['https://git.acme.dev', 'https://uploads.acme.dev:8443']);
const authorization = { scheme: 'Bearer', secret: new Secret('canary-token') } as const;

it.each([
  ['https://git.acme.dev/x', true],
  ['https://git.acme.dev:443/x', true],
  ['https://uploads.acme.dev:8443/x', true],
  ['http://git.acme.dev/x', false],
  ['https://git.acme.dev:8443/x', false],
  ['https://uploads.acme.dev/x', false],
  ['https://acme.dev/x', false],
  ['https://a.git.acme.dev/x', false],
  ['https://git.acme.dev.evil.example/x', false],
  ['https://git.acme.dev@evil.example/x', false],
  ['https://evil.example/https://git.acme.dev', false],
])('E8: %s gets the credential: %s', (address, isTrusted) => {
  const request = { method: 'GET', route: route`/x` } as const;
  const options = { userAgent: 'gitlink-test', authorization, trustedOrigins };
  const { headers } = writeRequest(request, new URL(address), options);
  expect(headers['authorization']).toBe(isTrusted ? 'Bearer canary-token' : undefined);
});
