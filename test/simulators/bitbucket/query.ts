import { refuse, type Call } from './call.ts';

/** What may be asked for in `q` and `sort`, and how it is read. */
export type Queryable<Item> = Readonly<Record<string, (item: Item) => Value>>;

type Value = string | number | boolean | null;
type Test<Item> = (item: Item) => boolean;

const token = /\s*(?:("(?:[^"\\]|\\.)*")|(!=|!~|>=|<=|[=~<>(),])|([\w.:+-]+))/y;

/**
 * Filters by `q` (`providers/bitbucket.md` §4): comparisons with AND, OR and parentheses.
 *
 * @throws Refusal 400 for anything else, and for fields that cannot be asked for.
 */
export function filterItems<Item>(
  call: Call,
  items: readonly Item[],
  fields: Queryable<Item>,
): readonly Item[] {
  const text = call.request.query.get('q');
  if (text === null) return items;
  return items.filter(parseQuery(text, fields));
}

/** Sorts by one field. @throws Refusal 400. */
export function sortItems<Item>(
  call: Call,
  items: readonly Item[],
  fields: Queryable<Item>,
): readonly Item[] {
  const text = call.request.query.get('sort');
  if (text === null) return items;
  const read = fields[text.replace(/^-/, '')];
  if (!read) throw refuse(400, `Invalid field name: ${text}`);
  const direction = text.startsWith('-') ? -1 : 1;
  return [...items].sort((left, right) => compare(read(left), read(right)) * direction);
}

function parseQuery<Item>(text: string, fields: Queryable<Item>): Test<Item> {
  const words = tokenize(text);
  let position = 0;
  const peek = () => words[position]?.toUpperCase();
  const take = () => {
    const word = words[position];
    if (word === undefined) throw refuseQuery(text);
    position += 1;
    return word;
  };
  const expect = (wanted: string) => {
    if (take().toUpperCase() !== wanted) throw refuseQuery(text);
  };

  function parseOr(): Test<Item> {
    const tests = [parseAnd()];
    while (peek() === 'OR') {
      take();
      tests.push(parseAnd());
    }
    return (item) => tests.some((test) => test(item));
  }

  function parseAnd(): Test<Item> {
    const tests = [parseTerm()];
    while (peek() === 'AND') {
      take();
      tests.push(parseTerm());
    }
    return (item) => tests.every((test) => test(item));
  }

  function parseTerm(): Test<Item> {
    if (peek() === '(') {
      take();
      const test = parseOr();
      expect(')');
      return test;
    }
    const name = take();
    const read = fields[name];
    if (!read) throw refuse(400, `Invalid field name: ${name}`);
    const operator = take().toUpperCase();
    if (operator !== 'IN' && operator !== 'NOT') return parseComparison(read, operator);
    if (operator === 'NOT') expect('IN');
    const values = parseList();
    return (item) => values.includes(read(item)) === (operator === 'IN');
  }

  function parseComparison(read: (item: Item) => Value, operator: string): Test<Item> {
    const check = comparisons[operator];
    if (!check) throw refuseQuery(text);
    const wanted = parseValue(take());
    return (item) => check(read(item), wanted);
  }

  function parseList(): readonly Value[] {
    expect('(');
    const values = [parseValue(take())];
    while (peek() === ',') {
      take();
      values.push(parseValue(take()));
    }
    expect(')');
    return values;
  }

  function parseValue(word: string): Value {
    if (word.startsWith('"')) return word.slice(1, -1).replaceAll(/\\(.)/g, '$1');
    if (word === 'null') return null;
    if (word === 'true' || word === 'false') return word === 'true';
    if (/^-?\d+(\.\d+)?$/.test(word)) return Number(word);
    if (/^\d{4}-\d\d-\d\d/.test(word)) return word;
    throw refuseQuery(text);
  }

  const test = parseOr();
  if (position < words.length) throw refuseQuery(text);
  return test;
}

const comparisons: Readonly<Record<string, (value: Value, wanted: Value) => boolean>> = {
  '=': (value, wanted) => value === wanted,
  '!=': (value, wanted) => value !== wanted,
  '~': (value, wanted) => contains(value, wanted),
  '!~': (value, wanted) => !contains(value, wanted),
  '>': (value, wanted) => compare(value, wanted) > 0,
  '>=': (value, wanted) => compare(value, wanted) >= 0,
  '<': (value, wanted) => compare(value, wanted) < 0,
  '<=': (value, wanted) => compare(value, wanted) <= 0,
};

function contains(value: Value, wanted: Value): boolean {
  return String(value).toLowerCase().includes(String(wanted).toLowerCase());
}

/** Roles are compared by what they allow, all else by its own order. */
function compare(left: Value, right: Value): number {
  const roles: readonly Value[] = ['read', 'write', 'admin'];
  const [a, b] = [roles.indexOf(left), roles.indexOf(right)];
  if (a >= 0 && b >= 0) return a - b;
  if (left === right || left === null || right === null) return 0;
  return left < right ? -1 : 1;
}

function tokenize(text: string): readonly string[] {
  const words: string[] = [];
  token.lastIndex = 0;
  const end = text.trimEnd().length;
  while (token.lastIndex < end) {
    const match = token.exec(text);
    if (!match) throw refuseQuery(text);
    words.push(match[0].trim());
  }
  return words;
}

function refuseQuery(text: string) {
  return refuse(400, `Invalid query: ${text}`);
}
