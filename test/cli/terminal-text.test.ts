import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringifyForTerminal } from '../../src/cli/json-text.ts';
import { measure } from '../../src/cli/text-width.ts';
import { toPrintable } from '../../src/printable.ts';
import { redact } from '../../src/redaction.ts';
import { Secret } from '../../src/secret.ts';
import { createSeededRandom } from '../simulators/faults.ts';
import { addToken, startGitea, usualScopes } from '../support/linked.ts';
import { createSandbox } from '../support/sandbox.ts';

/** How many strings; `npm run campaign` takes more. */
const fuzzSize = Number(process.env['GITLINK_FUZZ_SIZE'] ?? 3_000);

/** What must never reach a terminal: it moves the cursor, starts a command, hides or reorders text. */
const dangerous = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Pieces that attacks are made of, and ordinary text of many kinds. */
const pieces: readonly string[] = [
  '\u001b[2J',
  '\u001b]8;;https://evil.example\u0007click\u001b]8;;\u0007',
  '\u001b]52;c;Y2FuYXJ5\u0007',
  '\u009b31m',
  '\r',
  '\n',
  '\t',
  '\b\b\b',
  '\u0000',
  '\u007f',
  '\u0085',
  '\u2028',
  '\u2029',
  '\u202e',
  '\u2066\u2069',
  '\u200b\u200f\u061c',
  '\u{e0041}\u{e007f}',
  '\ufeff',
  '\u3164',
  '\ud800',
  '\udfff',
  'e\u0301\u0323',
  '漢字',
  '⭐👩‍💻',
  'é\u212b',
  'plain-name',
  '/',
  '"\'\\$`',
  ' ',
];

const random = createSeededRandom(20_261_120);

function makeText(): string {
  const count = 1 + Math.floor(random() * 8);
  return Array.from({ length: count }, () =>
    random() < 0.8
      ? (pieces[Math.floor(random() * pieces.length)] ?? '')
      : String.fromCharCode(Math.floor(random() * 0x1_0000)),
  ).join('');
}

describe('E1: strings of others', () => {
  test(`${fuzzSize} strings become one safe line each`, () => {
    for (let index = 0; index < fuzzSize; index += 1) {
      const text = makeText();
      const safe = toPrintable(text);
      expect(safe, JSON.stringify(text)).not.toMatch(dangerous);
      expect(toPrintable(safe), 'what is safe stays as it is').toBe(safe);
      expect(measure(safe)).toBeGreaterThanOrEqual(0);
      const json = stringifyForTerminal({ text });
      expect(json.replaceAll('\n', ''), JSON.stringify(text)).not.toMatch(dangerous);
      expect(JSON.parse(json)).toEqual({ text });
    }
  });

  test('ordinary text stays, what is long is cut, and megabytes cost no time', () => {
    for (const text of ['plain', 'Zoë Ångström', '漢字', 'שלום', '👍', 'a/b.c-d_e~f'])
      expect(toPrintable(text)).toBe(text);
    expect(toPrintable('x'.repeat(600))).toBe(`${'x'.repeat(499)}…`);
    expect([...toPrintable('\u202e'.repeat(5_000_000), 100)]).toHaveLength(100);
    expect(toPrintable('\u001b[31m')).toBe('\\x1b[31m');
    expect(toPrintable('\u202e')).toBe('\\u{202e}');
  });

  test('names of repositories, owners and accounts, versions and messages: through the commands', async (context) => {
    const names = [...new Set(Array.from({ length: 150 }, () => makeText().replaceAll('/', '')))].filter(
      (name) => Buffer.from(name).toString() === name && name.trim() !== '' && name === name.normalize('NFC'),
    );
    const hostile = 'ada\u001b[2J\u202e\r\u2028漢';
    const gitea = await startGitea({
      world: {
        users: [{ login: hostile }],
        organizations: [{ name: 'acme\u001b]0;x\u0007', members: { [hostile]: 'owner' } }],
        repositories: [
          ...names.map((name) => ({ owner: hostile, name })),
          { owner: 'acme\u001b]0;x\u0007', name: 'api' },
        ],
      },
    });
    gitea.faults.add({
      path: /version/,
      fault: { kind: 'answer', answer: { status: 200, json: { version: '1.27.0\u001b[8m\u2028' } } },
    });
    const sandbox = createSandbox();
    const token = sandbox.guard(addToken(gitea, usualScopes, hostile));
    const args = ['link', 'gitea', '--host', gitea.url, '--with-token', '--name', 'gitea'];
    const linked = await sandbox.run(args, { input: token });
    expect(linked, linked.stderr).toMatchObject({ exitCode: 0 });

    const shown = [linked];
    for (const command of [['list'], ['list', '--check'], ['show'], ['repos'], ['repos', '--verbose']]) {
      const run = await sandbox.run(command);
      expect(run, run.stderr).toMatchObject({ exitCode: 0 });
      shown.push(run);
    }
    gitea.faults.clear();
    const message = 'no\u001b[2J\r\u202eentry\u2028';
    gitea.faults.add({
      path: /repos/,
      fault: { kind: 'answer', answer: { status: 403, json: { message } } },
    });
    shown.push(await sandbox.run(['repos']), await sandbox.run(['repos', '--namespace', 'a\u001b[2J']));
    gitea.faults.clear();
    for (const { stdout, stderr } of shown) {
      for (const line of `${stdout}${stderr}`.split('\n'))
        expect(line.replaceAll('\t', '')).not.toMatch(dangerous);
    }
    const rows = shown[4]?.stdout.trimEnd().split('\n') ?? [];
    expect(rows).toHaveLength(names.length + 1);
    for (const row of rows) expect(row.split('\t'), row).toHaveLength(5);

    const json = await sandbox.run(['repos', '--json']);
    expect(json.stdout.replaceAll('\n', '')).not.toMatch(dangerous);
    const { repositories } = json.json<{ readonly repositories: readonly { readonly fullName: string }[] }>();
    expect(new Set(repositories.map(({ fullName }) => fullName))).toEqual(
      new Set([...names.map((name) => `${hostile}/${name}`), 'acme\u001b]0;x\u0007/api']),
    );

    const script = join(import.meta.dirname, '../../bin/gitlink.js');
    const inTerminal = (commandLine: string) =>
      sandbox.runProgram(
        'script',
        ['-qec', `stty cols 100; exec '${process.execPath}' '${script}' ${commandLine}`, '/dev/null'],
        {
          env: { NO_COLOR: undefined, TERM: 'xterm', FORCE_COLOR: undefined },
        },
      );
    try {
      for (const command of ['list', 'show', 'repos', 'list --check']) {
        const { stdout } = await inTerminal(command);
        // gitlink's own: colours, and the status line that it takes away again.
        const rest = stdout.replaceAll('\r\n', '\n').replace(/\u001b\[\d{1,2}m|\r\u001b\[2K/g, '');
        for (const line of rest.split('\n')) expect(line).not.toMatch(dangerous);
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      context.skip('there is no `script` of util-linux');
    }
  });
});

/** Shapes of secrets by provider, with the repeatable part marked as one that scanners know. */
const body = (length: number): string => 'canaryCANARY0123'.repeat(100).slice(0, length);

const vectors: readonly (readonly [what: string, secret: string])[] = [
  ...['p', 'o', 'u', 's', 'r'].map((letter) => [`GitHub gh${letter}_`, `gh${letter}_${body(36)}`] as const),
  ['GitHub installation token of 2026', `ghs_12345_${body(200)}.${body(200)}-${body(90)}`],
  ['GitHub fine-grained', `github_pat_${body(22)}_${body(59)}`],
  ...['pat', 'oas', 'rt', 'dt', 'ptt', 'ft', 'imt', 'agent', 'soat', 'cbt'].map(
    (kind) => [`GitLab gl${kind}-`, `gl${kind}-${body(20)}`] as const,
  ),
  ['GitLab routable', `glpat-${body(27)}.01.${body(9)}`],
  ['Bitbucket API token', `ATATT3xFfGF0${body(150)}=1A2B3C4D`],
  ['Bitbucket access token', `ATCTT3xFfGN0${body(150)}=1A2B3C4D`],
  ['Bitbucket app password', `ATBB${body(32)}`],
  ['Data Center', `BBDC-${body(44)}`],
  ['Azure DevOps', `${body(52)}JQQJ99${body(14)}AAAAAZDO${body(4)}`],
  ['GitLab signing token', `whsec_${body(43)}=`],
  ['JWT', `eyJ${body(30)}.${body(60)}.${body(43)}`],
  ['private key', `-----BEGIN RSA PRIVATE KEY-----\n${body(64)}\n${body(64)}\n-----END RSA PRIVATE KEY-----`],
  ['truncated private key', `-----BEGIN PRIVATE KEY-----\n${body(64)}`],
];

const inContext: readonly (readonly [text: string, secret: string])[] = [
  [`Authorization: token ${'0123456789abcdef'.repeat(3).slice(0, 40)}`, '0123456789abcdef'],
  [`authorization: Bearer ${body(40)}`, body(20)],
  ['Authorization: Basic Y2FuYXJ5OmNhbmFyeQ==', 'Y2FuYXJ5'],
  ['https://ada:canary-pass@git.acme.dev/x', 'canary-pass'],
  ['https://x-access-token:canary%40pass@git.acme.dev/x', 'canary%40pass'],
  ['access_token=canary-value&x=1', 'canary-value'],
  ['{"client_secret":"canary-value"}', 'canary-value'],
  ['{"refresh_token": "canary-value"}', 'canary-value'],
  ["password='canary-value'", 'canary-value'],
];

describe('D5: redaction by shape', () => {
  test.each(vectors)('%s', (_what, secret) => {
    for (const text of [
      secret,
      `before ${secret} after`,
      `"${secret}"`,
      `url=${secret}&x`,
      `\n${secret}\n`,
    ]) {
      expect(redact(text)).not.toContain(secret.slice(8, 24));
    }
    expect(redact(`before ${secret}`)).toMatch(/^before /);
  });

  test.each(inContext)('%s', (text, secret) => {
    expect(redact(text)).not.toContain(secret);
  });

  test('sentences stay as they are', () => {
    for (const text of [
      'Use a token: --method token',
      'token does not have at least one of required scope(s), required=[read:user], token scope=read:repository',
      'Basic authentication is disabled.',
      'This token may not read its own account.',
      'https://git.acme.dev/ada/site: commit 0123456789abcdef0123456789abcdef01234567',
    ]) {
      expect(redact(text)).toBe(text);
    }
  });

  test('D4: live secrets by value, in each encoding, the longer before the shorter', () => {
    const short = new Secret('canary/secret+ä"1');
    const long = new Secret('canary/secret+ä"1 and more');
    for (const secret of [short, long]) {
      const value = secret.reveal();
      const bytes = Buffer.from(value);
      for (const form of [
        value,
        encodeURIComponent(value),
        JSON.stringify(value),
        bytes.toString('base64'),
        bytes.toString('base64url'),
        bytes.toString('hex'),
        Buffer.from(`x:${value}`).toString('base64'),
        Buffer.from(`ada:${value}`).toString('base64'),
        Buffer.from(`xy:${value}`).toString('base64'),
      ]) {
        const shown = redact(`<${form}>`);
        expect(shown, form).toContain('[redacted]');
        expect(shown, form).not.toMatch(/canary|and more|Y2FuYXJ5|63616e617279/);
      }
    }
  });

  test.each([
    'a',
    'eyJ',
    'eyJaaaaaaaa.',
    '://',
    '://a:',
    'token ',
    'token aaaaaaa ',
    'Bearer  ',
    'access_token=',
    'ghp_',
    'glpat-',
    '-----BEGIN ',
    '-----BEGIN PRIVATE KEY-----',
    '\u001b',
  ])('a megabyte of %j takes time in proportion to its length', (unit) => {
    const small = unit.repeat(Math.ceil(100_000 / unit.length));
    const large = unit.repeat(Math.ceil(1_000_000 / unit.length));
    redact(small);
    const timeOf = (text: string): number =>
      Math.min(
        ...[1, 2, 3].map(() => {
          const startedAt = performance.now();
          redact(text);
          return performance.now() - startedAt;
        }),
      );
    // Ten times the length: quadratic work would be a hundredfold, and minutes. Below 5 ms a busy machine decides.
    expect(timeOf(large)).toBeLessThan(40 * Math.max(5, timeOf(small)));
  });
});
