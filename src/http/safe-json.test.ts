import { describe, expect, it } from 'vitest';
import { parseJson } from './safe-json.ts';

function parse(text: string): unknown {
  const parsed = parseJson(text);
  return parsed.ok ? parsed.value : parsed.problem;
}

describe('E11: foreign JSON cannot reach prototypes', () => {
  it.each([
    '{"__proto__":{"admin":true},"id":1}',
    '{"constructor":{"prototype":{"admin":true}},"id":1}',
    '{"prototype":{"admin":true},"id":1}',
    '{"\\u005f_proto__":{"admin":true},"id":1}',
    '{"__proto__":null,"__proto__":{"admin":true},"id":1}',
    '{"id":1,"constructor":"x","prototype":2,"__proto__":3}',
  ])('%s', (text) => {
    const value = parse(text) as object;
    expect(Object.keys(value)).toEqual(['id']);
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect('admin' in Object.assign({}, value)).toBe(false);
  });

  it('cleans every level, lists included', () => {
    const value = parse(
      '{"list":[{"__proto__":{"admin":true},"deep":{"constructor":1,"ok":[{"prototype":1}]}}]}',
    );
    expect(JSON.stringify(value)).toBe('{"list":[{"deep":{"ok":[{}]}}]}');
    const [first] = (value as { list: object[] }).list;
    expect(Object.getPrototypeOf(first)).toBeNull();
  });

  it('leaves ordinary data alone', () => {
    const text = '{"a":[1,2.5,-3,true,null,"x\\"]}{["],"b":{"c":{}},"":"empty"}';
    expect(JSON.stringify(parse(text))).toBe(JSON.stringify(JSON.parse(text)));
  });
});

describe('E10: depth', () => {
  it.each([
    ['lists', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('takes 64 levels of %s and refuses 65', (_name, open, close) => {
    const nest = (depth: number) => `${open.repeat(depth)}${open === '[' ? '' : '1'}${close.repeat(depth)}`;
    expect(parseJson(nest(64)).ok).toBe(true);
    expect(parse(nest(65))).toBe('data nested too deeply');
  });

  it('does not count brackets inside strings', () => {
    expect(parseJson(JSON.stringify({ a: `\\"${'['.repeat(200)}\\` })).ok).toBe(true);
  });

  it('refuses millions of brackets quickly', () => {
    expect(parse('['.repeat(5_000_000))).toBe('data nested too deeply');
  });
});

it.each(['', '{', '{"a":canary}', '[1,]', 'canary', '"', '"\\', '{"a":1}}', '\u0000'])(
  'D2: %j is broken and not quoted',
  (text) => {
    expect(parse(text)).toBe('broken JSON');
  },
);
