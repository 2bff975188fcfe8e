import { describe, expect, it } from 'vitest';
import { UsageError } from '../errors.ts';
import { isLoopbackHost, parseHost, toDisplayHost, toUnicodeHost } from './base-url.ts';

const accepted: readonly (readonly [string, string])[] = [
  ['https://github.com', 'https://github.com'],
  ['github.com', 'https://github.com'],
  ['GitHub.com', 'https://github.com'],
  ['HTTPS://GITHUB.COM', 'https://github.com'],
  ['https://github.com/', 'https://github.com'],
  ['https://github.com//', 'https://github.com'],
  ['github.com/', 'https://github.com'],
  ['https://github.com:443', 'https://github.com'],
  ['https://github.com:443/', 'https://github.com'],
  ['https://git.acme.dev:8443', 'https://git.acme.dev:8443'],
  ['https://git.acme.dev:80', 'https://git.acme.dev:80'],
  ['https://git.acme.dev:1', 'https://git.acme.dev:1'],
  ['https://git.acme.dev:65535', 'https://git.acme.dev:65535'],
  ['git.acme.dev:3000', 'https://git.acme.dev:3000'],
  ['git.acme.dev:3000/gitea', 'https://git.acme.dev:3000/gitea'],
  ['https://git.acme.dev/gitea', 'https://git.acme.dev/gitea'],
  ['https://git.acme.dev/gitea/', 'https://git.acme.dev/gitea'],
  ['https://git.acme.dev/gitea///', 'https://git.acme.dev/gitea'],
  ['https://git.acme.dev/Tools/Gitea', 'https://git.acme.dev/Tools/Gitea'],
  ['https://git.acme.dev/~git/a-b_c.d', 'https://git.acme.dev/~git/a-b_c.d'],
  ['https://git.acme.dev/v1.2', 'https://git.acme.dev/v1.2'],
  ['https://git.acme.dev/.well', 'https://git.acme.dev/.well'],
  ['https://git.acme.dev/a.', 'https://git.acme.dev/a.'],
  ['https://a', 'https://a'],
  ['gitea', 'https://gitea'],
  ['https://a-b.c-d.example', 'https://a-b.c-d.example'],
  ['https://1password.example', 'https://1password.example'],
  ['https://1.example', 'https://1.example'],
  ['https://a.1b', 'https://a.1b'],
  ['https://0x.example', 'https://0x.example'],
  ['https://deadbeef', 'https://deadbeef'],
  ['https://192.168.0.1', 'https://192.168.0.1'],
  ['https://192.168.0.1:3000', 'https://192.168.0.1:3000'],
  ['https://255.255.255.255', 'https://255.255.255.255'],
  ['https://0.0.0.0', 'https://0.0.0.0'],
  ['192.168.0.1', 'https://192.168.0.1'],
  ['https://[2001:db8::1]', 'https://[2001:db8::1]'],
  ['https://[2001:DB8:0:0:0:0:0:1]', 'https://[2001:db8::1]'],
  ['https://[2001:db8::1]:8443/git', 'https://[2001:db8::1]:8443/git'],
  ['[::1]', 'https://[::1]'],
  ['https://[::ffff:192.0.2.1]', 'https://[::ffff:c000:201]'],
  ['https://xn--bcher-kva.example', 'https://xn--bcher-kva.example'],
  ['https://XN--BCHER-KVA.example', 'https://xn--bcher-kva.example'],
  ['xn--mnchen-3ya.example/git', 'https://xn--mnchen-3ya.example/git'],
  ['http://localhost', 'http://localhost'],
  ['http://localhost:3000', 'http://localhost:3000'],
  ['http://LOCALHOST:3000/', 'http://localhost:3000'],
  ['http://localhost:80', 'http://localhost'],
  ['http://localhost:443', 'http://localhost:443'],
  ['http://127.0.0.1', 'http://127.0.0.1'],
  ['http://127.0.0.1:3000/gitea', 'http://127.0.0.1:3000/gitea'],
  ['http://127.255.255.254', 'http://127.255.255.254'],
  ['http://[::1]:3000', 'http://[::1]:3000'],
  ['http://[0:0:0:0:0:0:0:1]', 'http://[::1]'],
  ['https://localhost', 'https://localhost'],
  [`https://${'a'.repeat(63)}.example`, `https://${'a'.repeat(63)}.example`],
];

const refused: readonly (readonly [string, string])[] = [
  ['', 'expected something like'],
  [' ', 'space'],
  ['/', 'expected something like'],
  ['.', 'malformed'],
  ['..', 'malformed'],
  ['https://', 'expected something like'],
  ['https:///', 'expected something like'],
  ['https:///github.com', 'expected something like'],
  ['https:/github.com', 'expected something like'],
  ['https:github.com', 'expected something like'],
  ['//github.com', 'expected something like'],
  ['https://https://github.com', 'expected something like'],
  [' https://github.com', 'space'],
  ['https://github.com ', 'space'],
  ['https://git hub.com', 'space'],
  ['https://github.com\t', 'space'],
  ['https://github.com\n', 'space'],
  ['https://git\nhub.com', 'space'],
  ['https://git\rhub.com', 'space'],
  ['https://git\thub.com', 'space'],
  ['https://github.com\0', 'invisible'],
  ['https://git\u00adhub.com', 'invisible'],
  ['https://git\u200bhub.com', 'invisible'],
  ['https://\u202egithub.com', 'invisible'],
  ['https://github.com\u2028', 'space'],
  ['https://github.com\u00a0', 'space'],
  ['https://github.com\ufeff', 'space'],
  ['https://github.com\u0085', 'invisible'],
  ['https://github.com\\@evil.example', 'backslash'],
  ['https://github.com\\', 'backslash'],
  ['https:\\\\github.com', 'backslash'],
  ['https://github.com\\.evil.example', 'backslash'],
  ['\\\\github.com\\share', 'backslash'],
  ['https://github.com@evil.example', 'user name'],
  ['https://user@github.com', 'user name'],
  ['https://user:pass@github.com', 'user name'],
  ['https://:pass@github.com', 'user name'],
  ['https://@github.com', 'user name'],
  ['user@github.com', 'user name'],
  ['git@github.com:acme/site.git', 'user name'],
  ['https://github.com:443@evil.example', 'user name'],
  ['https://github.com/@acme', 'user name'],
  ['https://github.com?', 'query'],
  ['https://github.com?a=b', 'query'],
  ['https://github.com/?a=b', 'query'],
  ['https://evil.example?github.com', 'query'],
  ['https://github.com#', 'fragment'],
  ['https://github.com#a', 'fragment'],
  ['https://evil.example#github.com', 'fragment'],
  ['https://github.com/%2e%2e', 'percent'],
  ['https://github%2ecom', 'percent'],
  ['https://github.com%00.evil.example', 'percent'],
  ['https://%67ithub.com', 'percent'],
  ['https://github.com/a%2fb', 'percent'],
  ['https://[fe80::1%25eth0]', 'percent'],
  ['https://[fe80::1%eth0]', 'percent'],
  ['https://github.com.', 'malformed'],
  ['https://localhost.', 'malformed'],
  ['http://localhost.', 'malformed'],
  ['http://127.0.0.1.', 'malformed'],
  ['https://192.168.0.1.', 'malformed'],
  ['https://github.com..', 'malformed'],
  ['https://github..com', 'malformed'],
  ['https://.github.com', 'malformed'],
  ['https://-github.com', 'malformed'],
  ['https://github-.com', 'malformed'],
  ['https://github.-com', 'malformed'],
  ['https://git_hub.com', 'expected something like'],
  ['https://*.github.com', 'expected something like'],
  ['https://github.com,evil.example', 'expected something like'],
  ['https://github.com;evil.example', 'expected something like'],
  ['https://github.com|evil.example', 'expected something like'],
  ['https://$(id).example', 'expected something like'],
  ['https://`id`.example', 'expected something like'],
  ['https://git!hub.com', 'expected something like'],
  [`https://${'a'.repeat(64)}.example`, 'malformed'],
  [`https://${'a.'.repeat(127)}a`, 'expected something like'],
  ['https://127.1', 'four decimal'],
  ['http://127.1', 'four decimal'],
  ['http://127.0.1', 'four decimal'],
  ['http://2130706433', 'four decimal'],
  ['https://2130706433', 'four decimal'],
  ['http://0x7f.1', 'four decimal'],
  ['https://0x7f.1', 'four decimal'],
  ['http://0x7f000001', 'four decimal'],
  ['http://0x7f.0.0.1', 'four decimal'],
  ['http://017700000001', 'four decimal'],
  ['http://0177.0.0.1', 'four decimal'],
  ['http://127.0.0.01', 'four decimal'],
  ['http://127.00.0.1', 'four decimal'],
  ['http://127.0.0.0x1', 'four decimal'],
  ['http://0', 'four decimal'],
  ['http://127', 'four decimal'],
  ['https://256.0.0.1', 'four decimal'],
  ['https://1.2.3.4.5', 'four decimal'],
  ['https://1.2.3', 'four decimal'],
  ['https://999999999999', 'four decimal'],
  ['https://github.com.1', 'four decimal'],
  ['https://foo.0x4', 'four decimal'],
  ['https://foo.0x', 'four decimal'],
  ['https://[::1', 'expected something like'],
  ['https://::1', 'expected something like'],
  ['::1', 'expected something like'],
  ['https://[]', 'expected something like'],
  ['https://[:::1]', 'not an IPv6'],
  ['https://[1]', 'expected something like'],
  ['https://[1.2.3.4]', 'not an IPv6'],
  ['https://[::1]evil.example', 'expected something like'],
  ['https://[g::1]', 'expected something like'],
  ['https://[::1].evil.example', 'expected something like'],
  ['https://[1:2:3:4:5:6:7:8:9]', 'not an IPv6'],
  ['https://[::127.1]', 'not an IPv6'],
  ['https://github.com:', 'expected something like'],
  ['https://github.com:/', 'expected something like'],
  ['https://github.com:0', 'port'],
  ['https://github.com:0443', 'port'],
  ['https://github.com:65536', 'port'],
  ['https://github.com:99999', 'port'],
  ['https://github.com:100000', 'expected something like'],
  ['https://github.com:-1', 'expected something like'],
  ['https://github.com:443:443', 'expected something like'],
  ['https://github.com:https', 'expected something like'],
  ['https://github.com:4e2', 'expected something like'],
  ['git:acme', 'expected something like'],
  ['github.com:acme/site', 'expected something like'],
  ['https://github.com/..', 'plain names'],
  ['https://github.com/.', 'plain names'],
  ['https://github.com/a/../b', 'plain names'],
  ['https://github.com/a/./b', 'plain names'],
  ['https://github.com/a..b', 'plain names'],
  ['https://github.com/a//b', 'plain names'],
  ['https://github.com//a', 'plain names'],
  ['https://github.com/a;b', 'plain names'],
  ['https://github.com/a:b', 'plain names'],
  ['https://github.com/a+b', 'plain names'],
  ["https://github.com/a'b", 'plain names'],
  ['https://github.com/a"b', 'plain names'],
  ['https://github.com/<a>', 'plain names'],
  ['https://github.com/$a', 'plain names'],
  ['https://github.com/*', 'plain names'],
  [`https://github.com/${'a'.repeat(101)}`, 'plain names'],
  [`https://github.com${'/a'.repeat(11)}`, 'plain names'],
  ['ftp://github.com', 'not supported'],
  ['ssh://github.com', 'not supported'],
  ['git://github.com', 'not supported'],
  ['file://localhost/etc', 'not supported'],
  ['ws://github.com', 'not supported'],
  ['httpss://github.com', 'not supported'],
  ['javascript://github.com/alert', 'not supported'],
  ['git+https://github.com', 'not supported'],
  ['javascript:alert', 'expected something like'],
  ['data:text/html,a', 'expected something like'],
  ['https://ⓖithub.com', 'ASCII'],
  ['https://ｇithub.com', 'ASCII'],
  ['https://github。com', 'ASCII'],
  ['https://github.com／evil', 'ASCII'],
  ['https://gıthub.com', 'ASCII'],
  ['https://bücher.example', 'ASCII'],
  ['https://gіthub.com', 'ASCII'],
  ['https://１２７.0.0.1', 'ASCII'],
  ['https://github.com/ä', 'ASCII'],
  ['ｈttps://github.com', 'ASCII'],
  ['https://xn--', 'malformed'],
  ['https://xn--a', 'xn--'],
  ['https://xn--a-.example', 'malformed'],
  ['https://xn--zzzzzzzzzz99.example', 'xn--'],
  ['http://github.com', 'plain http'],
  ['http://git.acme.dev:3000', 'plain http'],
  ['http://192.168.0.1', 'plain http'],
  ['http://128.0.0.1', 'plain http'],
  ['http://126.255.255.255', 'plain http'],
  ['http://0.0.0.0', 'plain http'],
  ['http://localhost.evil.example', 'plain http'],
  ['http://127.0.0.1.evil.example', 'plain http'],
  ['http://evil-localhost', 'plain http'],
  ['http://my.localhost', 'plain http'],
  ['http://[::2]', 'plain http'],
  ['http://[::]', 'plain http'],
  ['http://[::ffff:127.0.0.1]', 'plain http'],
  ['http://[fe80::1]', 'plain http'],
];

describe('parseHost', () => {
  it('E3: has at least 150 vectors', () => {
    expect(accepted.length + refused.length).toBeGreaterThanOrEqual(150);
  });

  it.each(accepted)('E3: reads %j as %s', (text, base) => {
    expect(parseHost(text)).toBe(base);
    // Reading a result again changes nothing, so records and flags mean the same.
    expect(parseHost(base)).toBe(base);
  });

  it.each(refused)('E3: refuses %j because of: %s', (text, reason) => {
    expect(() => parseHost(text)).toThrow(UsageError);
    expect(() => parseHost(text)).toThrow(reason);
  });

  it('E3: takes plain http for another host only with allowHttp', () => {
    expect(parseHost('http://git.acme.dev:3000/gitea', { allowHttp: true })).toBe(
      'http://git.acme.dev:3000/gitea',
    );
    expect(parseHost('http://git.acme.dev:80', { allowHttp: true })).toBe('http://git.acme.dev');
    expect(() => parseHost('http://0x7f.1', { allowHttp: true })).toThrow(UsageError);
  });

  it('D2: never repeats what looks like a token', () => {
    const token = `ghp_${'canary'.repeat(6)}`;
    expect(() => parseHost(token)).toThrow('"[redacted]" is not the address');
  });

  it('D2: never repeats what may be a secret', () => {
    for (const text of [
      'https://me:canary@h.dev',
      'https://h.dev?token=canary',
      'https://h.dev#canary',
      'h.dev/%canary',
    ]) {
      expect(() => parseHost(text)).toThrow(/^(?!.*canary)/);
    }
  });
});

describe('isLoopbackHost', () => {
  it.each(['localhost', '127.0.0.1', '127.1.2.3', '[::1]', '::1'])('knows %s', (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  });

  it.each([
    'localhost.',
    '127.1',
    '127.0.0.1.evil.example',
    '127.0.0.256',
    '128.0.0.1',
    '[::2]',
    '',
    '0.0.0.0',
  ])('does not take %j for this machine', (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  });
});

it('shows hosts without https, but keeps http visible', () => {
  expect(toDisplayHost('https://git.acme.dev/gitea')).toBe('git.acme.dev/gitea');
  expect(toDisplayHost('http://127.0.0.1:3000')).toBe('http://127.0.0.1:3000');
});

it('E3: shows what an international name spells', () => {
  expect(toUnicodeHost('https://xn--bcher-kva.example:8443')).toBe('bücher.example');
  expect(toUnicodeHost('https://github.com')).toBeNull();
});
