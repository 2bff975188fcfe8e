import { describe, expect, test } from 'vitest';
import { createDescriptionCheck, createRequestCheck, type CheckedRequest } from './openapi-check.ts';

const item = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string' },
    size: { type: 'integer' },
    tags: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
    note: { type: 'string', nullable: true, 'x-nullable': true },
    config: { type: 'object', additionalProperties: { type: 'string' } },
  },
};
const query = [
  { name: 'page', in: 'query', type: 'integer', schema: { type: 'integer' } },
  {
    name: 'kind',
    in: 'query',
    type: 'string',
    enum: ['x', 'y'],
    schema: { type: 'string', enum: ['x', 'y'] },
  },
  { name: 'deep', in: 'query', type: 'boolean', schema: { type: 'boolean' } },
];
const id = { name: 'id', in: 'path', required: true, type: 'integer', schema: { type: 'integer' } };

const swagger = {
  consumes: ['application/json'],
  paths: {
    '/items/{id}': { parameters: [id], get: { parameters: query } },
    '/items/search': { get: {} },
    '/items': {
      post: {
        parameters: [{ name: 'body', in: 'body', required: true, schema: { $ref: '#/definitions/Item' } }],
      },
    },
  },
  definitions: { Item: item },
} as never;

const openapi = {
  paths: {
    '/items/{id}': { parameters: [id], get: { parameters: query } },
    '/items/search': { get: {} },
    '/items': {
      post: {
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { allOf: [{ $ref: '#/components/schemas/Item' }] } } },
        },
      },
    },
  },
  components: { schemas: { Item: item } },
} as never;

function get(target: string): CheckedRequest {
  const { pathname, searchParams } = new URL(target, 'http://host');
  return { method: 'GET', path: pathname, query: searchParams, contentType: undefined, body: undefined };
}

function post(
  body: unknown,
  contentType: string | undefined = 'application/json; charset=utf-8',
): CheckedRequest {
  return { method: 'POST', path: '/api/items', query: new URLSearchParams(), contentType, body };
}

describe.each([
  ['Swagger 2.0', swagger],
  ['OpenAPI 3', openapi],
])('%s', (_, description) => {
  const check = createDescriptionCheck(description, '/api');

  test.each([
    get('/api/items/7?page=2&kind=x&deep=true'),
    get('/api/items/search'),
    post({ name: 'n', size: 1, tags: ['a'], note: null, config: { any: 'thing' } }),
  ])('takes what is described: $method $path', (request) => {
    expect(check(request)).toEqual([]);
  });

  test.each([
    [get('/api/nothing'), 'not a path of the official description'],
    [get('/other/items/7'), 'outside /api, which is all that is described'],
    [{ ...get('/api/items/7'), method: 'DELETE' }, 'DELETE is not described for /items/{id}'],
    [get('/api/items/seven'), 'path parameter id should be of type integer'],
    [get('/api/items/7?per_page=1'), 'unknown query parameter per_page'],
    [get('/api/items/7?page=one'), 'query parameter page should be of type integer'],
    [get('/api/items/7?kind=z'), 'query parameter kind should be one of x, y'],
    [get('/api/items/7?deep=1'), 'query parameter deep should be of type boolean'],
    [post(undefined), 'the body is missing'],
    [post({ name: 'n' }, 'text/plain'), 'a body of type text/plain, which is not described'],
    [post({}), 'body.name is missing'],
    [post({ name: 'n', sise: 1 }), 'unknown field body.sise'],
    [post({ name: 'n', size: 1.5 }), 'body.size should be of type integer'],
    [post({ name: 'n', tags: ['a', 'c'] }), 'body.tags[1] should be one of a, b'],
    [post({ name: null }), 'body.name should not be null'],
    [post({ name: 'n', config: { any: 3 } }), 'body.config.any should be of type string'],
    [{ ...get('/api/items/7'), body: {} }, 'a body where none is described'],
  ])('finds what is not: %#', (request, failure) => {
    expect(check(request)).toEqual([failure]);
  });
});

test('a description that is not there checks nothing', () => {
  expect(createRequestCheck('no-such-description.json', '/api')(get('/anything'))).toEqual([]);
});
