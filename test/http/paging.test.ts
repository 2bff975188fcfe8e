import { describe, expect, it } from 'vitest';
import { UnreachableError } from '../../src/errors.ts';
import { fetchCountedPages, followLinkPages, readInOrder, type CountedPage } from '../../src/http/paging.ts';
import type { HostRequest } from '../../src/http/host-client.ts';
import { route } from '../../src/http/route.ts';
import { canary, catchError, createTestClient, sendJson, startServer, type TestServer } from './http-kit.ts';

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A list of numbers in pages; it notes which pages were asked for and how many at once. */
function createList(total: number, size: number, count: (page: number) => number | null = () => total) {
  const asked: number[] = [];
  const state = { underWay: 0, most: 0 };
  const fetchPage = async (page: number): Promise<CountedPage<number>> => {
    asked.push(page);
    state.most = Math.max(state.most, ++state.underWay);
    // Later pages answer first, so that order is not by luck.
    for (let turn = 0; turn < 20 - (page % 7); turn += 1) await Promise.resolve();
    state.underWay -= 1;
    const start = (page - 1) * size;
    const items = Array.from(
      { length: Math.max(0, Math.min(size, total - start)) },
      (_item, index) => start + index,
    );
    return { items, totalCount: count(page) };
  };
  return { asked, state, fetchPage };
}

describe('counted pages', () => {
  it.each([
    [0, 1],
    [1, 1],
    [49, 1],
    [50, 1],
    [51, 2],
    [100, 2],
    [501, 11],
  ])('%d items in pages of 50 take %d requests and come in order', async (total, requests) => {
    const list = createList(total, 50);
    expect(await collect(fetchCountedPages(list.fetchPage, 50, 4))).toEqual(
      Array.from({ length: total }, (_, index) => index),
    );
    expect(list.asked).toHaveLength(requests);
    expect(list.state.most).toBeLessThanOrEqual(4);
    if (requests > 5) expect(list.state.most).toBe(4);
  });

  it('a host that cuts pages shorter than asked loses nothing', async () => {
    const list = createList(130, 30);
    expect(await collect(fetchCountedPages(list.fetchPage, 100, 4))).toHaveLength(130);
    expect(list.asked).toHaveLength(5);
  });

  it.each([
    [49, 1],
    [50, 2],
    [120, 3],
  ])('without a count a short page ends %d items after %d requests', async (total, requests) => {
    const list = createList(total, 50, () => null);
    expect(await collect(fetchCountedPages(list.fetchPage, 50, 4))).toHaveLength(total);
    expect(list.asked).toHaveLength(requests);
  });

  it('E9: a count that promises too much ends at the first empty page', async () => {
    const list = createList(120, 50, () => 1e15);
    expect(await collect(fetchCountedPages(list.fetchPage, 50, 4))).toHaveLength(120);
    expect(list.asked.length).toBeLessThanOrEqual(3 + 4 + 1);
  });

  it('the first row comes before the second page, and nobody reads ahead of the window', async () => {
    const asked: number[] = [];
    const fetchPage = (page: number): Promise<CountedPage<number>> => {
      asked.push(page);
      if (page > 1) return new Promise(() => undefined);
      return Promise.resolve({ items: [1, 2], totalCount: 100 });
    };
    const rows = fetchCountedPages(fetchPage, 2, 3);
    expect((await rows.next()).value).toBe(1);
    expect((await rows.next()).value).toBe(2);
    expect(asked).toEqual([1, 2, 3, 4]);
  });

  it('a failed page fails the reader, and only a reader who gets there', async () => {
    const fetchPage = (page: number): Promise<CountedPage<number>> =>
      page === 1
        ? Promise.resolve({ items: [1, 2], totalCount: 6 })
        : Promise.reject(new Error(`page ${page}`));
    const seen: number[] = [];
    const error = await catchError(
      (async () => {
        for await (const item of fetchCountedPages(fetchPage, 2, 2)) seen.push(item);
      })(),
    );
    expect(error.message).toBe('page 2');
    expect(seen).toEqual([1, 2]);
    for await (const item of fetchCountedPages(fetchPage, 2, 2)) if (item === 1) break;
    // An unhandled rejection would fail this run.
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('E9: endless pages and items are refused', async () => {
    const endless = (size: number) => () =>
      Promise.resolve({ items: new Array<number>(size).fill(0), totalCount: null });
    let pages = 0;
    const one = () => {
      pages += 1;
      return endless(1)();
    };
    expect(await catchError(collect(fetchCountedPages(one, 1, 4)))).toBeInstanceOf(UnreachableError);
    expect(pages).toBe(10_000);
    expect(await catchError(collect(fetchCountedPages(endless(200_000), 200_000, 4)))).toBeInstanceOf(
      UnreachableError,
    );
  });
});

describe('linked pages', () => {
  const first = { method: 'GET', route: route`/orgs/${'acme'}/repos`, query: { per_page: 2 } } as const;

  async function startLinking(
    next: (server: TestServer, index: number) => string | null,
  ): Promise<TestServer> {
    const server: TestServer = await startServer((_request, response, index) => {
      const address = next(server, index);
      const link = address === null ? '' : `<${address}>; rel="next", <${server.base}/last>; rel="last"`;
      sendJson(response, [index], 200, link === '' ? {} : { link });
    });
    return server;
  }

  it('are followed to the end, with the credential', async () => {
    const server = await startLinking(({ base }, index) =>
      index < 3 ? `${base}/api/repositories/7/list?page=${index + 2}&per_page=2` : null,
    );
    const pages = await collect(followLinkPages(createTestClient(`${server.base}/api`), first));
    expect(pages.map(({ body }) => body)).toEqual([[0], [1], [2], [3]]);
    expect(server.seen.map(({ url }) => url)).toEqual([
      '/api/orgs/acme/repos?per_page=2',
      '/api/repositories/7/list?page=2&per_page=2',
      '/api/repositories/7/list?page=3&per_page=2',
      '/api/repositories/7/list?page=4&per_page=2',
    ]);
    expect(server.seen.every(({ headers }) => headers.authorization === `Bearer ${canary}`)).toBe(true);
  });

  it('may be named in the body', async () => {
    const server: TestServer = await startServer((_request, response, index) =>
      sendJson(response, index < 2 ? { next: `${server.base}/2.0/x?page=${index + 2}` } : {}),
    );
    const findNext = ({ body }: { body: unknown }) => (body as { next?: string }).next ?? null;
    const pages = followLinkPages(createTestClient(`${server.base}/2.0`), first, { findNext });
    expect(await collect(pages)).toHaveLength(3);
  });

  it.each<readonly [string, (server: TestServer, other: TestServer) => string]>([
    ['another host', (_server, other) => `http://localhost:${other.port}/api/x`],
    ['another port', (_server, other) => `${other.base}/api/x`],
    ['another scheme', (server) => `https://127.0.0.1:${server.port}/api/x`],
    ['another host without a scheme', (_server, other) => `//localhost:${other.port}/api/x`],
    ['a user name', (server) => `http://me:pw@127.0.0.1:${server.port}/api/x`],
    ['outside the API', (server) => `${server.base}/admin`],
    ['beside the API', (server) => `${server.base}/apix`],
    ['out of the API by dots', (server) => `${server.base}/api/../admin`],
    ['out of the API by encoded dots', (server) => `${server.base}/api/%2e%2e/admin`],
    ['no address', () => 'http://['],
    ['a script', () => 'javascript:alert(1)'],
  ])('E9: a next page elsewhere is refused: %s', async (_name, next) => {
    const other = await startServer((_request, response) => sendJson(response, []));
    const server = await startLinking((own) => next(own, other));
    const client = createTestClient(`${server.base}/api`);
    const error = await catchError(collect(followLinkPages(client, first)));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toBe(
      `${client.base} names a next page outside its API, which gitlink does not follow.`,
    );
    expect(other.seen).toEqual([]);
    expect(server.seen).toHaveLength(1);
  });

  it.each<readonly [string, (index: number) => number]>([
    ['one page', () => 2],
    ['two pages', (index) => index % 2],
  ])('E9: a loop over %s ends', async (_name, page) => {
    const server = await startLinking(({ base }, index) => `${base}/api/x?page=${page(index)}`);
    const error = await catchError(collect(followLinkPages(createTestClient(`${server.base}/api`), first)));
    expect(error.message).toContain('sends the same page again and again');
    expect(server.seen.length).toBeLessThanOrEqual(3);
  });

  it('E9: growth without end is refused', async () => {
    let calls = 0;
    const client = {
      base: 'https://h.dev',
      request: () => {
        calls += 1;
        const headers = new Headers({ link: `</x?page=${calls}>; rel=next` });
        return Promise.resolve({ status: 200, headers, body: [] });
      },
    };
    expect(await catchError(collect(followLinkPages(client, first)))).toBeInstanceOf(UnreachableError);
    expect(calls).toBe(10_000);
    const countItems = () => 600_000;
    expect(
      await collect(followLinkPages(client, first, { countItems })).catch((error: unknown) => error),
    ).toBeInstanceOf(UnreachableError);
    expect(calls).toBe(10_002);
  });
});

describe('parts of a list', () => {
  const read = async (part: number): Promise<readonly number[]> => {
    // The later ones are ready first.
    for (let turn = 10; turn > part; turn -= 1) await new Promise((resolve) => setImmediate(resolve));
    if (part === 7) throw new Error('part 7');
    return part === 3 ? [] : [part * 10, part * 10 + 1];
  };

  it('are read side by side, so many at a time, and handed on in their order', async () => {
    let underWay = 0;
    let most = 0;
    const counted = async (part: number): Promise<readonly number[]> => {
      most = Math.max(most, ++underWay);
      const items = await read(part);
      underWay -= 1;
      return items;
    };
    expect(await collect(readInOrder([1, 2, 3, 4, 5], counted, 3))).toEqual([10, 11, 20, 21, 40, 41, 50, 51]);
    expect(most).toBe(3);
  });

  it('fail where their turn comes, and not for a reader who left before', async () => {
    const seen: number[] = [];
    const all = (async () => {
      for await (const item of readInOrder([5, 6, 7, 8], read, 4)) seen.push(item);
    })();
    expect((await catchError(all)).message).toBe('part 7');
    expect(seen).toEqual([50, 51, 60, 61]);
    for await (const item of readInOrder([6, 7], read, 2)) {
      expect(item).toBe(60);
      break;
    }
  });
});

describe('the Link header (RFC 8288)', () => {
  it.each([
    ['<https://h.dev/x?page=2>; rel="next"', '/x?page=2'],
    ['<a>; rel="prev", <b>; rel="next", <c>; rel="last"', '/b'],
    ['<a,b;c>; rel=next', '/a,b;c'],
    ['<a>; title="rel=next; x"; rel="last"', null],
    ['<a>; REL="NEXT"', '/a'],
    ['<a>; rel="last next"', '/a'],
    ['<a>;rel="next"', '/a'],
    ['<a>; rel="nextish"', null],
    ['<a>; norel="next"', null],
    ['<a>', null],
    ['', null],
    ['<', null],
    ['<'.repeat(8_000), null],
    [`<a>${'; x'.repeat(4_000)}`, null],
  ])('%j', async (link, next) => {
    const asked: string[] = [];
    const client = {
      base: 'https://h.dev',
      request: ({ route: { path } }: HostRequest) => {
        const headers = new Headers(asked.push(path) === 1 ? { link } : {});
        return Promise.resolve({ status: 200, headers, body: [] });
      },
    };
    await collect(followLinkPages(client, { method: 'GET', route: route`/first` }));
    expect(asked.slice(1)).toEqual(next === null ? [] : [next]);
  });
});
