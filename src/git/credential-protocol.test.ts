import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  formatCredentialAnswer,
  readCredentialInput,
  readCredentialRequest,
  type CredentialRequest,
} from './credential-protocol.ts';
import { Secret } from '../secret.ts';

const minimal = 'protocol=https\nhost=github.com\n';

function parse(input: string | Buffer): CredentialRequest | null {
  const result = readCredentialRequest(typeof input === 'string' ? Buffer.from(input) : input);
  return 'refused' in result ? null : result;
}

function withValue(key: string, value: Buffer): Buffer {
  const others = ['protocol=https', 'host=github.com', 'path=acme/api.git', 'username=mona'];
  const lines = others.filter((line) => !line.startsWith(`${key}=`)).map((line) => Buffer.from(`${line}\n`));
  return Buffer.concat([...lines, Buffer.from(`${key}=`), value, Buffer.from('\n')]);
}

describe('readCredentialRequest', () => {
  it('reads what git sends', () => {
    const request = parse(
      'capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=git.acme.dev:8443\n' +
        'path=acme/api.git\nusername=mona\npassword=canary=one\nwwwauth[]=Basic realm="x"\n\n',
    );
    expect(request).toMatchObject({
      protocol: 'https',
      host: 'git.acme.dev:8443',
      path: 'acme/api.git',
      username: 'mona',
      credential: null,
    });
    expect(request?.password?.reveal()).toBe('canary=one');
    expect([...(request?.capabilities ?? [])]).toEqual(['authtype', 'state']);
  });

  it.each([
    ['the last line without its end', 'protocol=https\nhost=github.com'],
    ['a blank line, then anything', `${minimal}\nhost=evil.example\n\0\nno equals sign`],
    ['unknown attributes, also twice', `${minimal}future=1\nfuture=2\nfuture[]=3\n=4\n`],
    ['foreign state (C13)', `state[]=gitlink.host=evil.example\n${minimal}state[]=x\n`],
    ['empty path and user name', `${minimal}path=\nusername=\n`],
  ])('accepts %s', (_, input) => {
    expect(parse(input)).toMatchObject({
      protocol: 'https',
      host: 'github.com',
      path: null,
      username: null,
    });
  });

  it('lets an empty capability[] clear the list', () => {
    const request = parse(`capability[]=authtype\ncapability[]=\ncapability[]=state\n${minimal}`);
    expect([...(request?.capabilities ?? [])]).toEqual(['state']);
  });

  it.each([
    ['no protocol', 'host=github.com\n'],
    ['no host', 'protocol=https\n'],
    ['an empty protocol', 'protocol=\nhost=github.com\n'],
    ['an empty host (CVE-2020-11008)', 'protocol=https\nhost=\n'],
    ['nothing', ''],
    ['a blank line first', `\n${minimal}`],
    ['a byte order mark', `\uFEFF${minimal}`],
    ['a line without "="', `${minimal}path\n`],
    ['a lone CR as a line', `${minimal}\r\n`],
    ['CRLF line ends', 'protocol=https\r\nhost=github.com\r\n'],
    ['a NUL in an unknown attribute', `${minimal}future=a\0b\n`],
    ['a NUL in a key', `${minimal}fut\0ure=a\n`],
    ['keys of another case', 'Protocol=https\nHost=github.com\n'],
    ['keys with spaces', ' protocol=https\nhost =github.com\n'],
  ])('C3: refuses %s', (_, input) => {
    expect(parse(input)).toBeNull();
  });

  it.each(
    'protocol host path username password password_expiry_utc oauth_refresh_token authtype credential ephemeral continue quit url'.split(
      ' ',
    ),
  )('C3: refuses two of %s', (key) => {
    const once = minimal.includes(`${key}=`) ? minimal : `${minimal}${key}=a\n`;
    expect(parse(once)).not.toBeNull();
    expect(parse(`${once}${key}=a\n`)).toBeNull();
    expect(parse(`${key}=b\n${once}`)).toBeNull();
  });

  it('C3: accepts a line of 65,535 bytes with its end, and none longer', () => {
    const line = (length: number) => `future=${'a'.repeat(length - 'future=\n'.length)}\n`;
    expect(parse(minimal + line(65_535))).not.toBeNull();
    expect(parse(minimal + line(65_536))).toBeNull();
    expect(parse(minimal + line(65_536).trimEnd())).toBeNull();
  });

  it('C3: accepts 256 lines and 1 MiB, and no more', () => {
    expect(parse(minimal + 'a=b\n'.repeat(254))).not.toBeNull();
    expect(parse(minimal + 'a=b\n'.repeat(255))).toBeNull();
    const mebibyte = Buffer.alloc(1024 * 1024, '\n');
    mebibyte.write(minimal);
    expect(parse(mebibyte)).not.toBeNull();
    expect(parse(Buffer.concat([mebibyte, Buffer.from('\n')]))).toBeNull();
  });

  describe.each(['protocol', 'host', 'path', 'username'])('C2: in %s', (key) => {
    it('refuses every control, format and separator character of Unicode, wherever it stands', () => {
      const refused: number[] = [];
      for (let code = 0; code <= 0x10ffff; code += 1) {
        const character = String.fromCodePoint(code);
        if (code === 0x0a || !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(character)) continue;
        for (const value of [`${character}a`, `a${character}b`, `a${character}`]) {
          if (parse(withValue(key, Buffer.from(value))) !== null) refused.push(code);
        }
      }
      expect(refused).toEqual([]);
    });

    it.each([
      ['CR', '\r'],
      ['DEL', '\x7f'],
      ['NEL', '\u0085'],
      ['line separator', '\u2028'],
      ['paragraph separator', '\u2029'],
      ['right-to-left override', '\u202e'],
      ['Arabic letter mark', '\u061c'],
      ['zero-width joiner', '\u200d'],
      ['byte order mark', '\ufeff'],
      ['tag letter', '\u{e0067}'],
    ])('refuses %s', (_, character) => {
      expect(parse(withValue(key, Buffer.from(`github.com${character}host=evil.example`)))).toBeNull();
    });

    it.each([
      ['a lone continuation byte', [0x80]],
      ['an overlong slash', [0xc0, 0xaf]],
      ['an overlong NUL', [0xc0, 0x80]],
      ['an overlong line feed', [0xe0, 0x80, 0x8a]],
      ['a surrogate', [0xed, 0xa0, 0x80]],
      ['a cut sequence', [0x61, 0xe2, 0x80]],
      ['a code point beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
      ['0xFF', [0xff]],
    ])('refuses %s', (_, bytes) => {
      expect(parse(withValue(key, Buffer.from(bytes)))).toBeNull();
    });
  });

  it('keeps letters of all languages', () => {
    expect(parse(withValue('path', Buffer.from('Größe/日本語 api')))?.path).toBe('Größe/日本語 api');
  });

  it('C1: takes nothing but a line feed for the end of a line, in any attribute', () => {
    for (const separator of ['\r', '\v', '\f', '\u0085', '\u2028', '\u2029', '\x1c', '\x1e']) {
      const request = parse(`${minimal}future=x${separator}path=evil/repo${separator}username=evil\n`);
      expect(request).toMatchObject({ host: 'github.com', path: null, username: null });
    }
  });

  it('answers random bytes with a request or a refusal, and a request is always clean', () => {
    // A small generator with a fixed start, so that a failure comes back.
    let state = 42;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return (state >>> 10) % below;
    };
    const pieces = [...'\n\n\n=\0\r\t a/%', 'protocol', 'host', 'path=', 'https', 'github.com', '\u2028'];
    pieces.push('protocol=https\n', 'host=github.com\n', 'username=', 'capability[]=', 'ü', '\u202e');
    let accepted = 0;
    for (let round = 0; round < 20_000; round += 1) {
      const chosen = Array.from({ length: random(12) }, () => pieces[random(pieces.length)] ?? '');
      const request = parse((random(2) === 0 ? minimal : '') + chosen.join(''));
      if (request === null) continue;
      accepted += 1;
      const { protocol, host, path, username } = request;
      expect(`${protocol}${host}${path ?? ''}${username ?? ''}`).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }
    expect(accepted).toBeGreaterThan(500);
  });
});

describe('readCredentialInput', () => {
  it('ends at a blank line without waiting for the end of the stream', async () => {
    const stream = new Readable({ read: () => undefined });
    stream.push('protocol=https\nhost=github.c');
    stream.push('om\n');
    stream.push('\n');
    const input = await readCredentialInput(stream);
    expect(input).toEqual(Buffer.from(`${minimal}\n`));
  });

  it('ends at the end of the stream', async () => {
    expect(await readCredentialInput(Readable.from([Buffer.from(minimal)]))).toEqual(Buffer.from(minimal));
  });

  it('C3: stops reading after 1 MiB', async () => {
    let chunks = 0;
    const long = new Readable({
      read() {
        chunks += 1;
        this.push(chunks > 100 ? null : Buffer.alloc(64 * 1024, 'a'));
      },
    });
    expect(await readCredentialInput(long)).toHaveProperty('refused');
    expect(chunks).toBeLessThan(40);
  });
});

describe('formatCredentialAnswer', () => {
  const old = parse(minimal);
  const modern = parse(`capability[]=authtype\n${minimal}`);
  if (!old || !modern) throw new Error('the fixtures are refused');

  function format(answer: Parameters<typeof formatCredentialAnswer>[0], request: CredentialRequest) {
    const result = formatCredentialAnswer(answer, request);
    return Buffer.isBuffer(result) ? result.toString() : result;
  }

  it('C8: writes user name, password and expiry, and nothing else, for an older git', () => {
    const answer = {
      username: 'mona',
      password: new Secret('canary-password'),
      expiresAtSeconds: 1_800_000_000,
    };
    expect(format(answer, old)).toBe(
      'username=mona\npassword=canary-password\npassword_expiry_utc=1800000000\n',
    );
    expect(format({ ...answer, expiresAtSeconds: null }, old)).toBe(
      'username=mona\npassword=canary-password\n',
    );
  });

  it('C8: echoes the capability first and says ephemeral to a git that knows it', () => {
    const answer = { username: 'mona', password: new Secret('canary-password'), expiresAtSeconds: null };
    expect(format(answer, modern)).toBe(
      'capability[]=authtype\nephemeral=1\nusername=mona\npassword=canary-password\n',
    );
  });

  it('C8: hands out a bearer token only to a git that announced authtype', () => {
    const answer = { bearer: new Secret('canary-bearer'), expiresAtSeconds: 1_800_000_000 };
    expect(format(answer, modern)).toBe(
      'capability[]=authtype\nephemeral=1\nauthtype=Bearer\ncredential=canary-bearer\npassword_expiry_utc=1800000000\n',
    );
    expect(format(answer, old)).toEqual({ refused: 'this token needs git 2.46 or newer' });
  });

  describe('a server that offers to sign in as Windows does', () => {
    const answer = { username: 'gitlink', password: new Secret('canary:password'), expiresAtSeconds: null };
    const pair = Buffer.from('gitlink:canary:password').toString('base64');

    it.each(['NTLM', 'Negotiate', 'negotiate TlRMTVNTUAAC', 'Bearer, Basic realm="y", NTLM'])(
      '%s: Basic as a finished header',
      (offer) => {
        const request = parse(
          `capability[]=authtype\n${minimal}wwwauth[]=Basic realm="x"\nwwwauth[]=${offer}\n`,
        );
        expect(request && format(answer, request)).toBe(
          `capability[]=authtype\nephemeral=1\nauthtype=Basic\ncredential=${pair}\n`,
        );
      },
    );

    it('an older git gets nothing, with the reason', () => {
      const request = parse(`${minimal}wwwauth[]=NTLM\n`);
      expect(request && format(answer, request)).toEqual({
        refused: expect.stringContaining('git 2.46 or newer') as string,
      });
    });

    it.each(['Basic realm="NTLM"', 'Basic realm="x, NTLM"', 'Bearer authorization_uri=https://x', ''])(
      '%j offers nothing of the kind',
      (offer) => {
        const request = parse(`${minimal}wwwauth[]=${offer}\n`);
        expect(request && format(answer, request)).toBe('username=gitlink\npassword=canary:password\n');
      },
    );

    it('the password is found again in what git rejects', () => {
      const request = parse(`${minimal}authtype=Basic\ncredential=${pair}\n`);
      expect(request?.credential?.equals(answer.password)).toBe(true);
    });
  });

  it.each(['\n', '\r', '\0'])('C16: answers nothing if a value has %j in it', (character) => {
    const bad = `canary${character}host=evil.example`;
    const good = new Secret('canary-good');
    for (const answer of [
      { username: bad, password: good, expiresAtSeconds: null },
      { username: 'mona', password: new Secret(bad), expiresAtSeconds: null },
      { bearer: new Secret(bad), expiresAtSeconds: null },
    ]) {
      const refusal = format(answer, modern);
      expect(refusal).toHaveProperty('refused');
      expect(JSON.stringify(refusal)).not.toContain('canary');
    }
  });

  it.each([0, -1, 1.5, Number.NaN, Infinity, 1e300])('refuses %d as an expiry', (expiresAtSeconds) => {
    const answer = { username: 'mona', password: new Secret('canary-password'), expiresAtSeconds };
    expect(format(answer, old)).toHaveProperty('refused');
  });

  it('A22: passes tokens of 10 to 8,000 characters', () => {
    for (const length of [10, 520, 8_000]) {
      const password = new Secret('c'.repeat(length));
      expect(format({ username: 'mona', password, expiresAtSeconds: null }, old)).toContain(
        `password=${password.reveal()}\n`,
      );
    }
  });
});
