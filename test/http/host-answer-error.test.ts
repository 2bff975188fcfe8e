import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';
import { HostAnswerError } from '../../src/http/host-answer-error.ts';
import { route } from '../../src/http/route.ts';
import { Secret } from '../../src/secret.ts';
import { canary, catchError, createTestClient, sendJson, startServer } from './http-kit.ts';

const hooks = route`/repos/${'acme'}/${'site'}/hooks`;

async function fail(status: number, body: unknown, headers: Record<string, string> = {}) {
  const server = await startServer((_request, response) => sendJson(response, body, status, headers));
  const client = createTestClient(server.base);
  const error = await catchError(
    client.request({ method: 'POST', route: hooks, json: {}, query: { q: canary } }),
  );
  if (!(error instanceof HostAnswerError)) throw error;
  return { error, server, lines: client.lines };
}

it.each<readonly [number, ErrorCode, number]>([
  [400, 'internal', 1],
  [401, 'auth', 4],
  [403, 'forbidden', 6],
  [404, 'notFound', 5],
  [408, 'unreachable', 7],
  [409, 'internal', 1],
  [410, 'notFound', 5],
  [422, 'internal', 1],
  [425, 'unreachable', 7],
  [500, 'unreachable', 7],
  [503, 'unreachable', 7],
  [511, 'unreachable', 7],
])('%d is %s, exit code %d', async (status, code, exitCode) => {
  const { error } = await fail(status, null);
  expect(error).toMatchObject({ status, code, exitCode });
});

describe("the host's own words", () => {
  it.each<readonly [string, unknown, string | null]>([
    ['GitHub', { message: 'Validation Failed', errors: [{ code: 'custom' }] }, 'Validation Failed'],
    ['GitLab', { message: '404 Project Not Found' }, '404 Project Not Found'],
    [
      'GitLab, by field',
      { message: { url: ['is blocked', 'is too long'], base: 'no' } },
      'url is blocked, is too long; base no',
    ],
    ['OAuth', { error: 'invalid_grant', error_description: 'The grant is used.' }, 'The grant is used.'],
    ['OAuth, short', { error: 'invalid_grant' }, 'invalid_grant'],
    ['Bitbucket', { type: 'error', error: { message: 'Access denied', detail: 'x' } }, 'Access denied'],
    ['Data Center', { errors: [{ context: null, message: 'No such hook' }] }, 'No such hook'],
    ['a list of words', { errors: ['First', 'Second'] }, 'First'],
    ['Azure', { $id: '1', message: 'TF400813: not authorized', typeKey: 'X' }, 'TF400813: not authorized'],
    ['nothing', {}, null],
    ['null', null, null],
    ['a list', [], null],
    ['no words', { message: ' ' }, null],
    ['numbers', { message: 1, error: 2, errors: [3] }, null],
    ['too many words', { message: 'x'.repeat(4_001) }, null],
    ['a long message', { message: 'x'.repeat(1_000) }, `${'x'.repeat(199)}…`],
    ['terminal tricks', { message: 'a\u001b[2J\u202eb\nc' }, 'a\\x1b[2J\\u{202e}b\\x0ac'],
  ])('%s', async (_name, body, words) => {
    const { error, server } = await fail(422, body);
    expect(error.hostMessage).toBe(words);
    const said = words === null ? '.' : `: ${words}`;
    expect(error.message).toBe(`${server.base} answered 422 to POST /repos/{}/{}/hooks${said}`);
  });

  it('a page instead of JSON keeps the status', async () => {
    const server = await startServer((_request, response) =>
      response.writeHead(401, { 'content-type': 'text/html' }).end(`<html>${canary}</html>`),
    );
    const error = await catchError(createTestClient(server.base).request({ method: 'GET', route: hooks }));
    expect(error).toMatchObject({ status: 401, hostMessage: null });
  });
});

it.each(['x-request-id', 'x-github-request-id', 'x-gitea-request-id'])(
  'keeps the printable request id of %s',
  async (name) => {
    const { error } = await fail(404, null, { [name]: 'A1B2:3C4D' });
    expect(error.requestId).toBe('A1B2:3C4D');
  },
);

it('keeps a few headers out of print', async () => {
  const { error } = await fail(403, null, {
    'x-github-sso': `required; url=https://github.com/orgs/acme/sso?authorization_request=${canary}`,
    'x-oauth-scopes': 'repo',
    'www-authenticate': `Bearer realm="${canary}", error="insufficient_scope"`,
    'set-cookie': `session=${canary}`,
    'x-secret': canary,
  });
  expect(Object.fromEntries(error.headers)).toEqual({
    'x-github-sso': `required; url=https://github.com/orgs/acme/sso?authorization_request=${canary}`,
    'x-oauth-scopes': 'repo',
    'www-authenticate': 'Bearer',
  });
});

it('D2: whatever prints the error finds no secret, header, body or query', async () => {
  const leak = new Secret('canary-leaked-by-the-host');
  const { error, lines } = await fail(
    422,
    {
      message: `bad token ${leak.reveal()} and ${Buffer.from(leak.reveal()).toString('base64')}`,
      secret: canary,
      [canary]: 1,
    },
    {
      'x-request-id': `id-${leak.reveal()}`,
      'x-github-sso': canary,
      'www-authenticate': `Bearer realm="${canary}"`,
      'set-cookie': canary,
    },
  );
  const printed = [
    inspect(error, { depth: Infinity, showHidden: true, getters: false }),
    JSON.stringify(error),
    String(error),
    error.stack,
    lines.join('\n'),
  ].join('\n');
  expect(printed).toContain('answered 422 to POST /repos/{}/{}/hooks: bad token [redacted] and [redacted]');
  expect(printed).not.toContain('canary');
  expect(printed).not.toContain('acme/site?');
  expect(error.cause).toBeUndefined();
});
