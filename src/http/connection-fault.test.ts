import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { toConnectionFault, toUnreachableError } from './connection-fault.ts';

interface Parts {
  readonly code?: string;
  readonly syscall?: string;
}

/** As `fetch` throws it: the platform's error inside. */
function failedFetch(message: string, parts: Parts = {}): TypeError {
  return new TypeError('fetch failed', {
    cause: Object.assign(new Error(message), parts, { hostname: 'canary' }),
  });
}

function failedAttempts(code: string): TypeError {
  const attempts = ['::1', '127.0.0.1'].map((address) =>
    Object.assign(new Error(`connect ${code} ${address}:443`), { code, syscall: 'connect' }),
  );
  return new TypeError('fetch failed', { cause: Object.assign(new AggregateError(attempts), { code }) });
}

const url = new URL('https://git.acme.dev/api?token=canary');

describe('what a person reads', () => {
  it.each<readonly [Error, string, boolean]>([
    [
      failedFetch('getaddrinfo ENOTFOUND git.acme.dev', { code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
      'The name git.acme.dev was not found (ENOTFOUND).',
      false,
    ],
    [
      failedFetch('getaddrinfo EAI_AGAIN git.acme.dev', { code: 'EAI_AGAIN', syscall: 'getaddrinfo' }),
      'The name git.acme.dev could not be looked up (EAI_AGAIN).',
      false,
    ],
    [
      failedFetch('connect ECONNREFUSED 10.0.0.1:443', { code: 'ECONNREFUSED', syscall: 'connect' }),
      'git.acme.dev refused the connection on port 443 (ECONNREFUSED).',
      false,
    ],
    [
      failedAttempts('ECONNREFUSED'),
      'git.acme.dev refused the connection on port 443 (ECONNREFUSED).',
      false,
    ],
    [failedAttempts('ENETUNREACH'), 'git.acme.dev cannot be reached from this network (ENETUNREACH).', false],
    [failedAttempts('ETIMEDOUT'), 'git.acme.dev did not take the connection on port 443 (ETIMEDOUT).', false],
    [
      failedFetch('Connect Timeout Error', { code: 'UND_ERR_CONNECT_TIMEOUT' }),
      'git.acme.dev did not take the connection on port 443 (UND_ERR_CONNECT_TIMEOUT).',
      false,
    ],
    [
      failedFetch('certificate has expired', { code: 'CERT_HAS_EXPIRED' }),
      'The certificate of git.acme.dev is not trusted: it has expired (CERT_HAS_EXPIRED).',
      false,
    ],
    [
      failedFetch('Client network socket disconnected before secure TLS connection was established', {
        code: 'ECONNRESET',
      }),
      'No secure connection to git.acme.dev on port 443 could be made (ECONNRESET).',
      false,
    ],
    [
      failedFetch('wrong version number', { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }),
      'No secure connection to git.acme.dev on port 443 could be made (ERR_SSL_WRONG_VERSION_NUMBER).',
      true,
    ],
    [
      failedFetch('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' }),
      'The connection to git.acme.dev broke off (ECONNRESET).',
      true,
    ],
    [
      failedFetch('read ETIMEDOUT', { code: 'ETIMEDOUT', syscall: 'read' }),
      'The connection to git.acme.dev broke off (ETIMEDOUT).',
      true,
    ],
    [
      failedFetch('other side closed', { code: 'UND_ERR_SOCKET' }),
      'The connection to git.acme.dev broke off (UND_ERR_SOCKET).',
      true,
    ],
    [failedFetch('bad port'), 'git.acme.dev cannot be reached from this network (blocked port).', false],
    [new TypeError('terminated'), 'The connection to git.acme.dev broke off (connection lost).', true],
  ])('%s', (error, message, isSent) => {
    const fault = toConnectionFault(error);
    expect(fault.isSent).toBe(isSent);
    const shown = toUnreachableError(fault, url);
    expect(shown).toMatchObject({ message, code: 'unreachable' });
    expect(shown.hint).toMatch(/^(?:Check|Try)/);
    expect(inspect(shown, { depth: Infinity, showHidden: true })).not.toContain('canary');
  });
});

it.each([
  [
    'https://git.acme.dev:3000/api?token=canary',
    ' If it speaks http only: --host http://git.acme.dev:3000 --allow-http (everything can be read on the way)',
  ],
  ['https://localhost:3000/api', ' If it speaks http only: --host http://localhost:3000'],
])('where %s does not speak TLS, the address that does without is named', (address, advice) => {
  const fault = toConnectionFault(failedFetch('wrong version', { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }));
  expect(toUnreachableError(fault, new URL(address)).hint).toBe(
    `Check that the port speaks https, with TLS 1.2 or newer.${advice}`,
  );
});

it('a fault of gitlink is not taken for one of the network', () => {
  const fault = new TypeError('t is not a constructor');
  expect(() => toConnectionFault(fault)).toThrow(fault);
});
