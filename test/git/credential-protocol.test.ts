import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCredentialRequest } from '../../src/git/credential-protocol.ts';
import { parseRepositoryUrl } from '../../src/git/repository-url.ts';
import { createSandbox, listNodes, openSandbox, type Sandbox } from './sandbox.ts';

const nodes = listNodes();
let bundles: string;

beforeAll(async () => {
  bundles = mkdtempSync(join(tmpdir(), 'gitlink-stub-'));
  await build({
    entryPoints: [join(import.meta.dirname, 'stub-helper.ts'), join(import.meta.dirname, 'parse-corpus.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outdir: bundles,
    outExtension: { '.js': '.mjs' },
  });
});

afterAll(() => rmSync(bundles, { recursive: true, force: true }));

const host = 'https://git.acme.example:8443';
const asked = 'protocol=https\nhost=git.acme.example:8443\n';

/** A home in which git asks the stub, run by that Node. */
function createStubSandbox(node: string, env: Record<string, string> = {}): Sandbox {
  const sandbox = createSandbox({ STUB_HOST: host, ...env });
  const script = join(bundles, 'stub-helper.mjs');
  const shell = `#!/bin/sh\nSTUB_LOG='${sandbox.path('log')}' exec '${node}' '${script}' "$@"\n`;
  const helper = sandbox.write('stub', shell, 0o755);
  sandbox.write('.gitconfig', `[credential]\n\thelper = "${helper}"\n\tuseHttpPath = true\n`);
  return sandbox;
}

function readLog(sandbox: Sandbox): unknown[] {
  const lines = readFileSync(sandbox.path('log'), 'utf8').trimEnd().split('\n');
  return lines.map((line): unknown => JSON.parse(line));
}

describe.each(nodes)('git asks a helper on Node $version', ({ node }) => {
  it('fills in a credential for an exact match', async () => {
    const sandbox = createStubSandbox(node);
    const { stdout } = await sandbox.git(['credential', 'fill'], { input: `${asked}path=acme/api.git\n\n` });
    expect(stdout).toBe(`${asked}path=acme/api.git\nusername=mona\npassword=canary-password\n`);
    expect(readLog(sandbox)).toEqual([
      {
        operation: 'get',
        protocol: 'https',
        host: 'git.acme.example:8443',
        path: 'acme/api.git',
        username: null,
        password: null,
      },
    ]);
  });

  it('C4: gets nothing for another host', async () => {
    const sandbox = createStubSandbox(node);
    for (const other of [
      'git.acme.example',
      'git.acme.example:443',
      'evil.example',
      'git.acme.example:8443.evil',
    ]) {
      const { status, stdout } = await sandbox.git(['credential', 'fill'], {
        input: `protocol=https\nhost=${other}\n\n`,
      });
      expect({ status, stdout }).toEqual({ status: 128, stdout: '' });
    }
  });

  it('tells approve and reject', async () => {
    const sandbox = createStubSandbox(node);
    const input = `${asked}username=mona\npassword=canary=with\xc3\xbc\n\n`;
    await sandbox.git(['credential', 'approve'], { input: Buffer.from(input, 'latin1') });
    await sandbox.git(['credential', 'reject'], { input: Buffer.from(input, 'latin1') });
    expect(readLog(sandbox)).toMatchObject([
      { operation: 'store', username: 'mona', password: 'canary=withü' },
      { operation: 'erase', username: 'mona', password: 'canary=withü' },
    ]);
  });

  it('C16: gets nothing at all where the token has a line feed', async () => {
    const sandbox = createStubSandbox(node, { STUB_PASSWORD: 'canary\nhost=evil.example' });
    const { status, stdout } = await sandbox.git(['credential', 'fill'], { input: `${asked}\n` });
    expect({ status, stdout }).toEqual({ status: 128, stdout: '' });
  });
});

/** What line readers and decoders have been fooled by, as bytes. */
const trickyBytes: readonly [name: string, bytes: readonly number[]][] = [
  ['nothing', []],
  ['tab', [0x09]],
  ['LF', [0x0a]],
  ['VT', [0x0b]],
  ['FF', [0x0c]],
  ['CR', [0x0d]],
  ['CRLF', [0x0d, 0x0a]],
  ['ESC', [0x1b]],
  ['file separator', [0x1c]],
  ['record separator', [0x1e]],
  ['space', [0x20]],
  ['equals sign', [0x3d]],
  ['DEL', [0x7f]],
  ['NEL', [0xc2, 0x85]],
  ['NEL in Latin-1', [0x85]],
  ['no-break space', [0xc2, 0xa0]],
  ['line separator', [0xe2, 0x80, 0xa8]],
  ['paragraph separator', [0xe2, 0x80, 0xa9]],
  ['zero-width space', [0xe2, 0x80, 0x8b]],
  ['right-to-left override', [0xe2, 0x80, 0xae]],
  ['byte order mark', [0xef, 0xbb, 0xbf]],
  ['overlong LF', [0xc0, 0x8a]],
  ['overlong slash', [0xc0, 0xaf]],
  ['surrogate', [0xed, 0xa0, 0x80]],
  ['cut sequence', [0xe2, 0x80]],
  ['0xFF', [0xff]],
  ['umlaut', [0xc3, 0xbc]],
  ['a letter beyond the BMP', [0xf0, 0x9d, 0x92, 0x9c]],
];

/** A URL for `evil.example` with the bytes, percent-encoded, and a smuggled attribute in one of its parts. */
function listUrls(): string[] {
  return trickyBytes.flatMap(([, bytes]) => {
    const escapes = bytes.map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
    const smuggled = `${escapes}host=github.com${escapes}`;
    return [
      `https://evil.example${smuggled}/acme/api.git`,
      `https://mona${smuggled}@evil.example/acme/api.git`,
      `https://evil.example/acme/api.git${smuggled}`,
      `https://evil.example/${escapes}${smuggled}x/api`,
    ];
  });
}

/** The same as raw lines, which git reads from its standard input. */
function listLines(): Buffer[] {
  return trickyBytes.flatMap(([, bytes]) =>
    ['protocol', 'host', 'username', 'path', 'password', 'future'].map((key) => {
      const lines = ['protocol=https', 'host=evil.example'].filter((line) => !line.startsWith(key));
      const first = { protocol: 'https', host: 'evil.example' }[key] ?? 'x';
      const tricked = [Buffer.from(`${key}=${first}`), Buffer.from(bytes), Buffer.from('host=github.com')];
      return Buffer.concat([Buffer.from(`${lines.join('\n')}\n`), ...tricked, Buffer.from('\n\n')]);
    }),
  );
}

/** What git says the attributes are: its own output, split as its documentation says. */
function toAttributes(output: string): Record<string, string> {
  const lines = output.split('\n').filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

describe('C1: with git as the judge', () => {
  let home: string;
  let sandbox: Sandbox;
  const sent: Buffer[] = [];

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'gitlink-oracle-'));
    sandbox = openSandbox(home);
    // Keeps what git sends, and answers so that git prints what it holds.
    const recorder = `#!/bin/sh\ncat > '${join(home, 'sent')}'\necho username=answered\necho password=answered\n`;
    const helper = sandbox.write('recorder', recorder, 0o755);
    sandbox.write('.gitconfig', `[credential]\n\thelper = "${helper}"\n\tuseHttpPath = true\n`);
  });

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** What git sends to its helper for an input, and what it takes the attributes for. */
  async function ask(input: Buffer): Promise<{ sent: Buffer; held: Record<string, string> } | null> {
    rmSync(join(home, 'sent'), { force: true });
    const { status, stdout } = await sandbox.git(['credential', 'fill'], { input });
    if (status !== 0) return null;
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(home, 'sent'));
    } catch {
      return null;
    }
    sent.push(bytes);
    return { sent: bytes, held: toAttributes(stdout) };
  }

  it('reads each attribute as git holds it, or refuses', async () => {
    const inputs = [...listUrls().map((url) => Buffer.from(`url=${url}\n\n`)), ...listLines()];
    let read = 0;
    let refused = 0;
    for (const input of inputs) {
      const answer = await ask(input);
      if (answer === null) continue;
      const request = readCredentialRequest(answer.sent);
      if ('refused' in request) {
        refused += 1;
        continue;
      }
      read += 1;
      const { protocol, host: name, path } = answer.held;
      const latin1 = (text: string | null) =>
        text === null ? undefined : Buffer.from(text).toString('latin1');
      expect({
        protocol: latin1(request.protocol),
        host: latin1(request.host),
        path: latin1(request.path),
      }).toEqual({ protocol, host: name, path });
      if (input.includes('url=')) expect(request.host).not.toBe('github.com');
    }
    // Neither side may stand still, or nothing was compared.
    expect(read).toBeGreaterThan(60);
    expect(refused).toBeGreaterThan(60);
  });

  it('reads the same on every Node', () => {
    expect(sent.length).toBeGreaterThan(100);
    const corpus = join(home, 'corpus.json');
    writeFileSync(corpus, JSON.stringify(sent.map((bytes) => bytes.toString('base64'))));
    const [first, ...others] = nodes.map(({ node }) =>
      execFileSync(node, [join(bundles, 'parse-corpus.mjs'), corpus], { encoding: 'utf8' }),
    );
    expect(first).toContain('"host":"evil.example"');
    for (const other of others) expect(other).toBe(first);
  });

  it('E3: reads the URL of a remote as git does, or refuses', async () => {
    const urls = [
      ...listUrls(),
      ...[
        'https://github.com/acme/api.git',
        'https://GitHub.com:443/acme/api.git/',
        'https://mona@h.example/a/b//',
      ],
      ...[
        'https://mona%40acme@h.example:8443/a%20b/_git/c',
        'http://[::1]:3000/a/b',
        'https://h.example//a//b',
      ],
      ...[
        'https://github.com\\@evil.example/a',
        'https://a@b@h.example/a',
        'https://github.com#@evil.example/a',
      ],
      ...[
        'https://h.example/a?b',
        'https://h.example/a%2fb',
        'https://h.example/../a',
        'https://h.example:/a',
      ],
      ...['https://ⓖithub.com/a', 'https://0x7f.1/a', 'https://h.example/a%zz', 'https://:x@h.example/a'],
    ];
    let compared = 0;
    for (const url of urls) {
      const parsed = parseRepositoryUrl(url);
      if (parsed === null) continue;
      const answer = await ask(Buffer.from(`url=${url}\n\n`));
      if (answer === null) continue;
      compared += 1;
      const { protocol, host: name, path } = answer.held;
      const port = parsed.port === null ? '' : `:${parsed.port}`;
      expect(parsed.protocol).toBe(protocol);
      expect(parsed.host + port).toBe(name?.toLowerCase().replace(/:443$/, ''));
      expect(Buffer.from(parsed.path).toString('latin1')).toBe(path);
    }
    expect(compared).toBeGreaterThan(15);
  });
});
