import { describe, expect, it } from 'vitest';
import {
  isSameRepository,
  isWithinNamespace,
  parseName,
  parseRepositoryPath,
  stripBasePath,
  toRepositoryName,
  type PathLayout,
} from './repository-path.ts';

function read(path: string): string | null {
  return parseRepositoryPath(path)?.segments.join('/') ?? null;
}

const accepted: readonly [path: string, repository: string][] = [
  ['acme/api', 'acme/api'],
  ['acme/api.git', 'acme/api'],
  ['acme/api.git/info/lfs', 'acme/api'],
  ['acme/api.git.git', 'acme/api.git'],
  ['acme/api.wiki.git', 'acme/api.wiki'],
  ['acme/api/info/lfs', 'acme/api/info/lfs'],
  ['acme/api.git/info', 'acme/api.git/info'],
  ['acme/api.git/info/lfs/objects/batch', 'acme/api.git/info/lfs/objects/batch'],
  ['acme/api.GIT', 'acme/api.GIT'],
  ['acme/.github', 'acme/.github'],
  ['acme/.github.git', 'acme/.github'],
  ['acme/..api', 'acme/..api'],
  ['acme/api..', 'acme/api..'],
  ['acme/...a', 'acme/...a'],
  ['acme/-x', 'acme/-x'],
  ["acme/a_b~c!d@e^f&g(h)i'j`k", "acme/a_b~c!d@e^f&g(h)i'j`k"],
  ['group/sub/deeper/api.git', 'group/sub/deeper/api'],
  ['scm/KEY/api.git', 'scm/KEY/api'],
  ['scm/~mona/api.git', 'scm/~mona/api'],
  ['acme/Shop Floor/_git/api', 'acme/Shop Floor/_git/api'],
  ['acme/Shop%20Floor/_git/api', 'acme/Shop Floor/_git/api'],
  ['acme/Gr%C3%B6%C3%9Fe/_git/api', 'acme/Größe/_git/api'],
  ['acme/日本/_git/api', 'acme/日本/_git/api'],
  ['%61cme/api%2Egit', 'acme/api'],
  ['gist', 'gist'],
];

const tricks = [
  ...['..', '.', '', ' ', '. ', '.. ', ' ..', '...', '. .', '%2e', '%2E%2e', '.%2e', '%2e.', '%20', '%2e%20'],
  ...['a%2fb', 'a%2Fb', 'a%5cb', 'a%5Cb', 'a\\b', '..\\b', '..;', '..;x', 'a;x', '.;', 'a%3bx'],
  ...['a%00', '%00', 'a\0', 'a%0a', 'a\n', 'a%0d', 'a\r', 'a%09', 'a\t', 'a%7f', 'a\x7f', 'a%1b', 'a\x1b[m'],
  ...[
    'a%c2%85',
    'a\u0085',
    'a\u009b',
    'a%e2%80%a8',
    'a\u2028',
    'a\u2029',
    'a\u202e',
    'a%E2%80%AE',
    'a\u2066',
  ],
  ...['a\u200b', 'a%e2%80%8b', 'a\u200d', 'a\u00ad', 'a\ufeff', 'a\u061c', 'a\u{e0061}', 'a\ud800'],
  ...[
    'a%252fb',
    '%252e%252e',
    'a%2520',
    '%25%32%66',
    'a%25%32%65',
    '%%32e%%32e',
    'a%',
    'a%2',
    'a%zz',
    '%u002e',
  ],
  ...['a%c0%af', 'a%c0%ae', '%c0%ae%c0%ae', 'a%ff', 'a%e2%80', 'a%ed%a0%80', 'a%f4%90%80%80'],
  ...[
    'a?',
    '?a',
    'a%3f',
    'a#',
    'a%23',
    'a?x=..',
    'a*',
    '*',
    '**',
    'a?b',
    '[a]',
    'a[b]',
    '{a,b}',
    'a{b',
    'a}',
  ],
  ...['a:b', 'C:', 'a<b', 'a>b', 'a|b', 'a"b', 'a$b', '$(a)', 'a,b', 'a+b', 'a=b', 'a%3ab', 'a%22', 'a%7cb'],
];

describe('C6: the path of a repository', () => {
  it('at least 300 vectors are refused', () => {
    expect(tricks.length * 4).toBeGreaterThan(300);
  });

  it.each(accepted)('%j is %j', (path, repository) => {
    expect(read(path)).toBe(repository);
  });

  it.each(tricks)('refuses a name %j, wherever it stands', (name) => {
    const paths = [`${name}/api.git`, `acme/${name}`, `acme/${name}/api`, `acme/api.git/${name}`];
    expect(paths.filter((path) => read(path) !== null)).toEqual([]);
  });

  it.each([
    ...['', '/', '//', '.', '..', '.git', '/.git', 'acme/.git', 'acme/.git/info/lfs', '.git/info/lfs'],
    ...['/acme/api', '//acme/api', 'acme/api/', 'acme/api.git/', 'acme//api', 'acme/api//', 'acme/%2Fapi'],
    ...['acme/api/../../evil/secret', 'acme/../evil/secret.git', 'acme/api.git/../../evil/secret'],
    ...['acme/api%2f..%2f..%2fevil/secret', 'acme/..%5c..%5cevil', 'acme/api\u2215evil\u0000'],
    'a/'.repeat(2048) + 'api',
  ])('refuses %j', (path) => {
    expect(read(path)).toBeNull();
  });

  it('refuses all of C0, C1, DEL, format characters and separators in a name', () => {
    const missed: string[] = [];
    for (let code = 0; code <= 0xe0fff; code += 1) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const character = String.fromCodePoint(code);
      if (!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(character)) continue;
      if (read(`acme/a${character}b`) !== null) missed.push(code.toString(16));
      if (read(`acme/a${encodeURIComponent(character)}b`) !== null) missed.push(`%${code.toString(16)}`);
    }
    expect(missed).toEqual([]);
  });
});

describe('C6: the base path', () => {
  it.each([
    ['gitea/acme/api', '/gitea', 'acme/api'],
    ['gitea/acme/api', '/gitea/', 'acme/api'],
    ['a/b/acme/api', '/a/b', 'acme/api'],
    ['acme/api', '', 'acme/api'],
    ['acme/api', '/', 'acme/api'],
    ['gitea2/acme/api', '/gitea', null],
    ['Gitea/acme/api', '/gitea', null],
    ['gitea', '/gitea', null],
    ['a/acme/api', '/a/b', null],
    ['acme/gitea/api', '/gitea', null],
  ])('%s below %j is %j', (path, base, expected) => {
    expect(stripBasePath(path.split('/'), base)?.join('/') ?? null).toBe(expected);
  });
});

describe('C6: where hosts put repositories', () => {
  it.each<[PathLayout, string, string | null]>([
    ['plain', 'group/sub/api', 'group/sub/api'],
    ['scm', 'scm/KEY/api', 'KEY/api'],
    ['scm', 'scm/~mona/api', '~mona/api'],
    ['scm', 'KEY/api', null],
    ['scm', 'SCM/KEY/api', null],
    ['scm', 'scm/api', null],
    ['scm', 'scm/KEY/deeper/api', null],
    ['scm', 'x/scm/KEY/api', null],
    ['azure', 'acme/shop/_git/api', 'acme/shop/api'],
    ['azure', 'acme/_git/api', 'acme/api/api'],
    ['azure', 'acme/shop/_git/_full/api', 'acme/shop/api'],
    ['azure', 'acme/shop/_git/_optimized/api', 'acme/shop/api'],
    ['azure', 'acme/shop/_git', null],
    ['azure', 'acme/shop/_git/_full', null],
    ['azure', 'acme/shop/_git/api/more', null],
    ['azure', 'acme/shop/api', null],
    ['azure', 'acme/shop/_GIT/api', null],
    ['azure', '_git/api', null],
    ['azure', 'acme/shop/other/_git/api', null],
    ['azure', 'acme/_git/evil/_git/api', null],
  ])('%s: %s is %j', (layout, path, expected) => {
    expect(toRepositoryName(path.split('/'), layout)?.join('/') ?? null).toBe(expected);
  });
});

describe('C6: what git asks for at Azure DevOps', () => {
  it.each([
    ['acme/Shop%20Floor/_git/api', 'acme/Shop Floor/api'],
    ['acme/Shop Floor/_git/api', 'acme/Shop Floor/api'],
    ['acme/Stra%C3%9Fe%20S%C3%BCd/_git/werk%20zeug', 'acme/Straße Süd/werk zeug'],
    ['acme/Straße Süd/_git/api.git/info/lfs', 'acme/Straße Süd/api'],
    ['acme/_git/Platform', 'acme/Platform/Platform'],
    ['acme/Shop%252FFloor/_git/api', null],
    ['acme/Shop%2FFloor/_git/api', null],
    ['acme/shop/%5Fgit/api', 'acme/shop/api'],
    ['acme/shop/_git/../_git/api', null],
  ])('%s is %j', (path, expected) => {
    const parsed = parseRepositoryPath(path);
    expect((parsed && toRepositoryName(parsed.segments, 'azure'))?.join('/') ?? null).toBe(expected);
  });

  it('below the base of a server the collection takes the place of the organization', () => {
    const names = stripBasePath('tfs/DefaultCollection/Shop/_git/api'.split('/'), '/tfs');
    expect(names && toRepositoryName(names, 'azure')).toEqual(['DefaultCollection', 'Shop', 'api']);
  });

  it('names differ by more than ASCII letters and their case', () => {
    const anyCase = { caseSensitive: false };
    expect(isWithinNamespace('acme/straße süd', ['Acme', 'Straße Süd', 'api'], anyCase)).toBe(true);
    expect(isWithinNamespace('acme/STRASSE SÜD', ['acme', 'Straße Süd', 'api'], anyCase)).toBe(false);
  });
});

describe('C6: names are compared whole', () => {
  const anyCase = { caseSensitive: false };
  const exactCase = { caseSensitive: true };

  it.each([
    ['acme', 'acme/api', true],
    ['ACME', 'acme/Api', true],
    ['group', 'group/sub/api', true],
    ['group/sub', 'group/sub/api', true],
    ['group/sub', 'group/sub/deeper/api', true],
    ['org/Shop Floor', 'org/shop floor/api', true],
    ['~mona', '~MONA/api', true],
    ['acme', 'acme2/api', false],
    ['acme', 'acm/api', false],
    ['acme', 'acme-evil/api', false],
    ['acme', 'evil/acme/api', false],
    ['acme', 'acme', false],
    ['acme/api', 'acme/api', false],
    ['acme/ap', 'acme/api/x', false],
    ['group/sub', 'group/subway/api', false],
    ['group/sub', 'group/api', false],
    ['', 'acme/api', false],
    ['acme/', 'acme/api', false],
    ['/acme', 'acme/api', false],
    ['mike', 'mi\u212Ae/api', false],
    ['größe', 'GRÖSSE/api', false],
  ])('namespace %j holds %j: %s', (namespace, repository, expected) => {
    expect(isWithinNamespace(namespace, repository.split('/'), anyCase)).toBe(expected);
  });

  it.each([
    ['acme/api', 'acme/api', true],
    ['Acme/API', 'acme/api', true],
    ['group/sub/api', 'group/sub/api', true],
    ['acme/api', 'acme/api2', false],
    ['acme/api', 'acme/ap', false],
    ['acme/api', 'acme/api/x', false],
    ['acme/api', 'acme', false],
    ['acme', 'acme/api', false],
    ['acme/api', 'acme/api.wiki', false],
    ['acme/api', 'x/acme/api', false],
  ])('repository %j is %j: %s', (name, repository, expected) => {
    expect(isSameRepository(name, repository.split('/'), anyCase)).toBe(expected);
  });

  it('tells case apart where the host does', () => {
    expect(isWithinNamespace('Acme', ['acme', 'api'], exactCase)).toBe(false);
    expect(isSameRepository('acme/Api', ['acme', 'api'], exactCase)).toBe(false);
    expect(isSameRepository('acme/api', ['acme', 'api'], exactCase)).toBe(true);
  });
});

describe('E13: names in arguments', () => {
  it.each(['acme', 'acme/api', 'group/sub/api', '~mona', 'org/Shop Floor', 'a-b.c_d', 'acme/-x'])(
    'takes %j',
    (name) => {
      expect(parseName(name)).toEqual(name.split('/'));
    },
  );

  it.each([
    ...['', '-', '-x', '--upload-pack=evil', '-oProxyCommand=evil', '--', '/', '/acme', 'acme/', 'acme//api'],
    ...[
      '.',
      '..',
      '../x',
      'acme/..',
      'acme/*',
      '*',
      'acme/a?',
      '[a]',
      '{a,b}',
      'a\\b',
      'a:b',
      'https://github.com',
    ],
    ...[
      'a\0b',
      'a\nb',
      'a\x1b[31m',
      'a\u202eb',
      'a\u200bb',
      'a%2fb',
      'a%b',
      'a'.repeat(5000),
      '$(x)',
      'a;b',
      'a|b',
    ],
  ])('refuses %j', (name) => {
    expect(parseName(name)).toBeNull();
  });
});
