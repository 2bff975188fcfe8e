import { describe, expect, it } from 'vitest';
import { parseRepositoryUrl, type RepositoryUrl } from './repository-url.ts';

function url(
  protocol: RepositoryUrl['protocol'],
  host: string,
  path: string,
  more: Partial<RepositoryUrl> = {},
): RepositoryUrl {
  return { protocol, host, path, port: null, username: null, hasPassword: false, ...more };
}

const api = 'acme/api.git';

describe('reads the URLs that reach a host', () => {
  it.each<[string, RepositoryUrl]>([
    ['https://github.com/acme/api.git', url('https', 'github.com', api)],
    ['https://GitHub.com:443/acme/api.git/', url('https', 'github.com', api)],
    [
      'https://git.acme.dev:8443/gitea/acme/api',
      url('https', 'git.acme.dev', 'gitea/acme/api', { port: 8443 }),
    ],
    ['http://127.0.0.1:3000/acme/api.git', url('http', '127.0.0.1', api, { port: 3000 })],
    ['http://[::1]:3000/acme/api.git', url('http', '[::1]', api, { port: 3000 })],
    ['https://mona@github.com/acme/api.git', url('https', 'github.com', api, { username: 'mona' })],
    [
      'https://mona%40acme.dev@github.com/acme/api.git',
      url('https', 'github.com', api, { username: 'mona@acme.dev' }),
    ],
    ['https://@github.com/acme/api.git', url('https', 'github.com', api)],
    ['https://mona:@github.com/acme/api.git', url('https', 'github.com', api, { username: 'mona' })],
    [
      'https://acme@dev.azure.com/acme/Shop%20Floor/_git/api',
      url('https', 'dev.azure.com', 'acme/Shop Floor/_git/api', { username: 'acme' }),
    ],
    ['ssh://git@github.com/acme/api.git', url('ssh', 'github.com', api, { username: 'git' })],
    ['ssh://git@github.com:22/acme/api.git', url('ssh', 'github.com', api, { username: 'git' })],
    [
      'ssh://git@git.acme.dev:7999/acme/api.git',
      url('ssh', 'git.acme.dev', api, { username: 'git', port: 7999 }),
    ],
    ['git+ssh://git@github.com/acme/api.git', url('ssh', 'github.com', api, { username: 'git' })],
    ['git@github.com:acme/api.git', url('ssh', 'github.com', api, { username: 'git' })],
    [
      'git@ssh.dev.azure.com:v3/acme/shop/api',
      url('ssh', 'ssh.dev.azure.com', 'v3/acme/shop/api', { username: 'git' }),
    ],
    ['git@github.com:/acme/api.git', url('ssh', 'github.com', api, { username: 'git' })],
    ['github.com:acme/api.git', url('ssh', 'github.com', api)],
    ['git@[::1]:acme/api.git', url('ssh', '[::1]', api, { username: 'git' })],
    ['work:acme/api.git', url('ssh', 'work', api)],
  ])('%s', (text, expected) => {
    expect(parseRepositoryUrl(text)).toEqual(expected);
  });

  it.each([
    'https://mona:canary-password@github.com/acme/api.git',
    'https://:canary-password@github.com/acme/api.git',
    'https://x-access-token:canary@github.com/acme/api.git',
    `https://ghp_${'canary'.repeat(6)}@github.com/acme/api.git`,
    `https://glpat-${'canary'.repeat(4)}@gitlab.com/acme/api.git`,
  ])('D7: reports a password or token, and does not keep it: %s', (text) => {
    const parsed = parseRepositoryUrl(text);
    expect(parsed?.hasPassword).toBe(true);
    expect(JSON.stringify(parsed)).not.toContain('canary');
  });
});

describe('E3: refuses what programs read differently', () => {
  it.each([
    ...[
      '',
      '.',
      '/srv/api.git',
      '../api.git',
      './a:b/api.git',
      'C:/api.git',
      'C:\\api.git',
      'file:///srv/api.git',
    ],
    ...[
      'ext::sh -c evil',
      'github::https://github.com/a/b',
      'git://github.com/acme/api.git',
      'ftp://h/a',
      'HTTPS://h/a',
    ],
    ...['https://github.com', 'https://github.com/', 'https:///acme/api', 'https://', '://github.com/a'],
    ...[
      'https://github.com\\@evil.example/acme/api',
      'https://github.com\\.evil.example/a',
      'https://evil.example\\/a',
    ],
    ...[
      'https://github.com@evil.example@x/a',
      'https://a@b@github.com/a',
      'https://github.com#@evil.example/a',
    ],
    ...['https://github.com?@evil.example/a', 'https://github.com/a?x=y', 'https://github.com/a#b'],
    ...[
      'https://github.com%2eevil.example/a',
      'https://github%00.com/a',
      'https://github.com./a',
      'https://.com/a',
    ],
    ...[
      'https://\u24D6ithub.com/a',
      'https://gith\u00fcb.com/a',
      'https://github\u3002com/a',
      'https://gi thub.com/a',
    ],
    ...[
      'https://github.com:/a',
      'https://github.com:0443/a',
      'https://github.com:99999/a',
      'https://github.com:x/a',
    ],
    ...[
      'https://github.com/a%0ahost=evil',
      'https://github.com/a\nb',
      'https://github.com/a\u202eb',
      'https://h/a\u2028b',
    ],
    ...[
      'https://github.com/a%',
      'https://github.com/a%ff',
      'https://mona%0a@github.com/a',
      'https://mo%ffna@h/a',
    ],
    ...[
      'ssh://-oProxyCommand=evil/a',
      '-oProxyCommand=evil:a',
      'ssh://-x@github.com/a',
      '-x@github.com:a',
      '--upload-pack:a',
    ],
    ...[
      'git@github.com:',
      'git@github.com',
      ':acme/api',
      '@github.com:acme',
      'a@b@github.com:acme/api',
      'git@:acme',
    ],
    `https://github.com/${'a'.repeat(5000)}`,
  ])('%j', (text) => {
    expect(parseRepositoryUrl(text)).toBeNull();
  });
});
