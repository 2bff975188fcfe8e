import { describe, expect, it } from 'vitest';
import { isLoopback, matchesHost, normaliseAuthority, toCurrentPlace } from './host-match.ts';

function answers(
  link: string,
  request: { protocol?: string; host: string; path?: string | null },
  allowHttp = false,
): boolean {
  const { protocol = 'https', host, path = 'acme/api.git' } = request;
  return matchesHost({ protocol, host, path }, link, { allowHttp });
}

describe('C4: answers for', () => {
  it.each([
    ['https://github.com', 'github.com'],
    ['https://github.com', 'GITHUB.COM'],
    ['https://github.com', 'GitHub.com'],
    ['https://github.com', 'github.com:443'],
    ['https://github.com/', 'github.com'],
    ['https://github.com:443', 'github.com'],
    ['https://GitHub.com', 'github.com'],
    ['https://git.acme.dev:8443', 'git.acme.dev:8443'],
    ['https://xn--gthub-cua.example', 'xn--gthub-cua.example'],
    ['https://git_lab.local', 'git_lab.local'],
    ['https://192.0.2.7', '192.0.2.7'],
    ['https://[2001:db8::1]:8443', '[2001:db8::1]:8443'],
    ['https://[2001:DB8::1]', '[2001:db8::1]:443'],
  ])('%s: %s', (link, host) => {
    expect(answers(link, { host })).toBe(true);
    expect(answers(link, { host, path: null })).toBe(true);
  });

  it.each([
    ['https://git.acme.dev/gitea', 'gitea/acme/api.git'],
    ['https://git.acme.dev/gitea/', 'gitea/acme/api.git'],
    ['https://git.acme.dev/a/b', 'a/b/acme/api'],
    ['https://git.acme.dev/gitea', '%67itea/acme/api.git'],
  ])('%s with path %s', (link, path) => {
    expect(answers(link, { host: 'git.acme.dev', path })).toBe(true);
  });
});

/** Ways to write a host that a careless comparison, a URL parser or a person takes for another one. */
function listNearMisses(host: string): string[] {
  const [name = '', port] = host.split(':');
  const suffix = port === undefined ? '' : `:${port}`;
  const dot = name.indexOf('.');
  const [first, rest] = [name.slice(0, dot), name.slice(dot + 1)];
  return [
    ...[
      '.',
      '..',
      '.evil',
      '.evil.example',
      '-evil.example',
      'evil',
      '%2eevil.example',
      '%00',
      '\0',
      ' ',
      '\t',
    ].map((end) => name + end + suffix),
    ...['.', 'evil-', 'evil.', 'www.', 'x', '*.', ' ', '//', 'https://', '%20', '\\', '\ufeff'].map(
      (start) => start + name + suffix,
    ),
    ...[
      '@evil.example',
      ':x@evil.example',
      '\\@evil.example',
      '#@evil.example',
      '?@evil.example',
      '/@evil.example',
    ].map((end) => name + end),
    ...['evil@', 'mona:x@', '@', 'evil.example@', 'evil.example\\@', 'evil.example/'].map(
      (start) => start + host,
    ),
    ...['/', '//', '/acme', '#', '?', ';', ',evil.example', '\n', '\r', '\u2028'].map((end) => host + end),
    ...[
      ':444',
      ':80',
      ':0443',
      ':4430',
      ':00443',
      ':',
      ':443:443',
      ':443.',
      ':44３',
      ':-443',
      ':+443',
      ':65979',
      ':1e3',
    ].map((other) => name + other),
    ...[rest, first, `${first}..${rest}`, `${first}-${rest}`, `${first}${rest}`, `${first}\u3002${rest}`],
    ...[`${first}\uff0e${rest}`, `${first}\u2024${rest}`, `${first}%2e${rest}`, `${first}.x.${rest}`],
    ...[
      `${name.slice(0, -1)}${suffix}`,
      `${name}m${suffix}`,
      [...name].reverse().join(''),
      '',
      '*',
      '.',
      ':',
    ],
    ...['\u200b', '\u00ad', '\u202e', '\u0301', '\ufe0f'].map((hidden) => first + hidden + '.' + rest),
  ];
}

describe('C4: no answer for a near miss of', () => {
  const links = [
    'https://github.com',
    'https://bitbucket.org',
    'https://git.acme.dev:8443',
    'https://gitlab.com',
    'https://dev.azure.com',
  ];

  it('at least 300 hosts', () => {
    expect(new Set(links.flatMap((link) => listNearMisses(new URL(link).host))).size).toBeGreaterThan(300);
  });

  it.each(links)('%s', (link) => {
    const answered = listNearMisses(new URL(link).host).filter((host) => answers(link, { host }));
    expect(answered).toEqual([]);
  });

  it.each([
    ['https://bitbucket.org', 'bitbuc\u212Aet.org', 'the Kelvin sign, whose lower case is k'],
    ['https://gist.github.com', 'gi\u017Ft.github.com', 'the long s, whose upper case is S'],
    ['https://github.com', 'g\u0131thub.com', 'the dotless i'],
    ['https://github.com', 'gith\u03C5b.com', 'a Greek upsilon'],
    ['https://github.com', 'github.\u0441om', 'a Cyrillic es'],
    ['https://github.com', '\u24D6ithub.com', 'a circled g'],
    ['https://github.com', '\uFF47ithub.com', 'a full-width g'],
    ['https://github.com', 'xn--gthub-n4a.com', 'an encoded look-alike'],
    ['https://github.com', 'gist.github.com', 'another host of the provider'],
    ['https://github.com', 'api.github.com', 'another host of the provider'],
    ['https://gist.github.com', 'github.com', 'the host above'],
    ['https://192.0.2.7', '3221225991', 'the address as one number'],
    ['https://192.0.2.7', '0300.0.2.7', 'the address in octal'],
    ['https://192.0.2.7', '0xc0.0.2.7', 'the address in hexadecimal'],
    ['https://192.0.2.7', '192.0.519', 'the address in three parts'],
    ['https://192.0.2.7', '192.000.002.007', 'the address with zeros'],
    ['https://192.0.2.7', '[::ffff:192.0.2.7]', 'the address mapped'],
    ['https://[2001:db8::1]', '[2001:db8:0::1]', 'the address spelled out'],
    ['https://[2001:db8::1]', '2001:db8::1', 'the address without brackets'],
    ['https://[2001:db8::1]', '[2001:db8::1%25eth0]', 'a zone'],
    ['https://[fe80::443]', '[fe80:', 'a cut address'],
  ])('%s: %s (%s)', (link, host) => {
    expect(answers(link, { host })).toBe(false);
  });

  it.each([
    ['no path', null],
    ['an empty path', ''],
    ['the base alone', 'gitea'],
    ['the base and a slash', 'gitea/'],
    ['another base', 'gitlab/acme/api.git'],
    ['a longer name', 'gitea2/acme/api.git'],
    ['a shorter name', 'gite/acme/api.git'],
    ['another case', 'Gitea/acme/api.git'],
    ['the base further down', 'acme/gitea/api.git'],
    ['a leading slash', '/gitea/acme/api.git'],
    ['a doubled slash', 'gitea//acme/api.git'],
    ['a way out', 'gitea/../other/api.git'],
    ['an encoded way out', 'gitea/%2e%2e/other/api.git'],
    ['a way out in Tomcat', 'gitea/..;/other/api.git'],
    ['an encoded slash', 'gitea%2facme/api.git'],
    ['a backslash', 'gitea\\acme/api.git'],
    ['a dot', 'gitea/./acme/api.git'],
    ['a matrix parameter', 'gitea;x/acme/api.git'],
    ['a query', 'gitea?/acme/api.git'],
  ])('https://git.acme.dev/gitea with %s', (_, path) => {
    expect(answers('https://git.acme.dev/gitea', { host: 'git.acme.dev', path })).toBe(false);
  });

  it.each([
    '',
    'github.com',
    'ssh://github.com',
    'https://',
    'https:///acme',
    'https://github.com//',
    'https://u@github.com',
  ])('a link whose host is %j', (link) => {
    expect(answers(link, { host: 'github.com' })).toBe(false);
  });
});

it.each(['u@github.com', 'github.com.', 'gith\u00fcb.com', 'a b', '*'])(
  'C4: no answer for what is no host, not even for the same: %j',
  (host) => {
    expect(answers(`https://${host}`, { host })).toBe(false);
  },
);

describe('C5: by protocol', () => {
  const protocols = [
    'https',
    'http',
    'ssh',
    'git',
    'cert',
    'file',
    'ftp',
    'HTTPS',
    'Http',
    'imap',
    'smtp',
    '',
    'https:',
  ];

  it.each([
    ['https://git.acme.dev', false, ['https']],
    ['https://git.acme.dev', true, ['https']],
    ['http://git.acme.dev', false, []],
    ['http://git.acme.dev', true, ['http']],
    ['http://localhost:3000', false, ['http']],
    ['http://127.0.0.1:3000', false, ['http']],
    ['http://127.9.9.9', false, ['http']],
    ['http://[::1]:3000', false, ['http']],
    ['https://localhost:3000', false, ['https']],
    ['http://localhost.evil.example', false, []],
    ['http://127.0.0.1.evil.example', false, []],
    ['http://127.1', false, []],
    ['http://0.0.0.0', false, []],
    ['http://[::]', false, []],
    ['http://[::ffff:127.0.0.1]', false, []],
  ])('%s with allowHttp %s answers %j', (link, allowHttp, expected) => {
    const { host } = /:\/\/(?<host>.*)/.exec(link)?.groups ?? {};
    const answered = protocols.filter((protocol) => answers(link, { protocol, host: host ?? '' }, allowHttp));
    expect(answered).toEqual(expected);
  });

  it('permits plain http for the exact port only', () => {
    expect(answers('http://git.acme.dev:8080', { protocol: 'http', host: 'git.acme.dev' }, true)).toBe(false);
    expect(answers('http://git.acme.dev', { protocol: 'http', host: 'git.acme.dev:80' }, true)).toBe(true);
    expect(answers('http://git.acme.dev', { protocol: 'http', host: 'git.acme.dev:443' }, true)).toBe(false);
    expect(answers('https://git.acme.dev', { host: 'git.acme.dev:80' }, true)).toBe(false);
  });
});

it.each([
  ['127.0.0.1', true],
  ['127.255.255.255:1', true],
  ['[::1]:8080', true],
  ['localhost', true],
  ['127.0.0.256', false],
  ['127.0.0.01', false],
  ['128.0.0.1', false],
  ['localhost.', false],
  ['[::2]', false],
])('%s is loopback: %s', (authority, expected) => {
  expect(isLoopback(authority)).toBe(expected);
});

it('takes the default port off once, by protocol', () => {
  expect(normaliseAuthority('H:443', 'https')).toBe('h');
  expect(normaliseAuthority('H:80', 'https')).toBe('h:80');
  expect(normaliseAuthority('H:80', 'http')).toBe('h');
  expect(normaliseAuthority('H:22', 'ssh')).toBe('h');
  expect(normaliseAuthority('[fe80::443]', 'https')).toBe('[fe80::443]');
});

describe('C4: the two addresses of an organization of Azure DevOps', () => {
  const current = (host: string, path: string | null, protocol = 'https') => {
    const place = toCurrentPlace({ protocol, host, path });
    return `${place.protocol} ${place.host} ${place.path}`;
  };

  it.each([
    ['acme.visualstudio.com', 'shop/_git/api', 'acme/shop/_git/api'],
    ['ACME.visualstudio.com:443', 'DefaultCollection/shop/_git/api', 'acme/shop/_git/api'],
    ['acme.visualstudio.com', 'defaultcollection/Shop%20Floor/_git/api', 'acme/Shop%20Floor/_git/api'],
    ['acme.visualstudio.com', 'DefaultCollection/_git/api', 'acme/_git/api'],
    ['acme.visualstudio.com', '_git/Stra\u00dfe', 'acme/_git/Stra\u00dfe'],
    ['acme-labs.visualstudio.com', null, null],
  ])('%s %s is dev.azure.com %s', (host, path, expected) => {
    expect(current(host, path)).toBe(`https dev.azure.com ${expected}`);
  });

  it.each([
    ...[
      'dev.azure.com',
      'visualstudio.com',
      '.visualstudio.com',
      'a.b.visualstudio.com',
      'acme.visualstudio.com.',
    ],
    ...[
      'acme.visualstudio.com.evil.example',
      'acmevisualstudio.com',
      'acme.visualstudio.com:8443',
      '-.visualstudio.com',
    ],
    ...[
      'acme.visualstudio.co',
      'x@acme.visualstudio.com',
      'acme%2evisualstudio.com',
      'app.vssps.visualstudio.com',
    ],
    ...[
      'vs-ssh.visualstudio.com',
      'acme.visualstudio.com\0',
      'acm\u00e9.visualstudio.com',
      'acme-.visualstudio.com',
    ],
  ])('%j stays as it is', (host) => {
    expect(current(host, 'shop/_git/api')).toBe(`https ${host} shop/_git/api`);
  });

  it('http is not taken for https', () => {
    expect(current('acme.visualstudio.com', 'a/_git/b', 'http')).toBe('http acme.visualstudio.com a/_git/b');
  });

  it.each([
    ['ssh.dev.azure.com', 'v3/acme/shop/api', 'ssh dev.azure.com acme/shop/_git/api'],
    ['vs-ssh.visualstudio.com', 'v3/acme/Shop Floor/api', 'ssh dev.azure.com acme/Shop Floor/_git/api'],
    ['ssh.dev.azure.com', 'v2/acme/shop/api', 'ssh ssh.dev.azure.com v2/acme/shop/api'],
    ['ssh.dev.azure.com', 'v3/acme/shop/api/more', 'ssh ssh.dev.azure.com v3/acme/shop/api/more'],
    ['acme.visualstudio.com', 'v3/acme/shop/api', 'ssh acme.visualstudio.com v3/acme/shop/api'],
  ])('over SSH %s:%s is %s', (host, path, expected) => {
    expect(current(host, path, 'ssh')).toBe(expected);
  });

  it('C5: what is known so is no more answered over SSH than before', () => {
    const place = toCurrentPlace({ protocol: 'ssh', host: 'ssh.dev.azure.com', path: 'v3/acme/shop/api' });
    expect(matchesHost(place, 'https://dev.azure.com', { allowHttp: false })).toBe(false);
  });
});
