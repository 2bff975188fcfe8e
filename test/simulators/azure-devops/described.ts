import { createRequestCheck, type RequestCheck } from '../../support/openapi-check.ts';
import type { SimulatorRequest } from '../routes.ts';
import { findVersion } from './versions.ts';

interface Area {
  readonly pattern: RegExp;
  readonly check: RequestCheck;
}

/** The official descriptions, each for the paths that it has. */
const areas: readonly Area[] = [
  [/^\/app-vssps\/_apis\/profile\//, 'profile', '/app-vssps'],
  [/^\/app-vssps\/_apis\/accounts$/, 'accounts', '/app-vssps'],
  [/^\/vssps\/[^/]+\/_apis\/tokens\//, 'tokens', '/vssps'],
  [/^\/[^/]+\/_apis\/hooks\//, 'service-hooks', ''],
  [/^\/[^/]+\/_apis\/permissions\//, 'security', ''],
  [/^\/[^/]+\/_apis\/projects(\/|$)/, 'core', ''],
  [/^\/[^/]+\/([^/]+\/)?_apis\/git\//, 'git', ''],
].map(([pattern, name, prefix]) => ({
  pattern: pattern as RegExp,
  check: createRequestCheck(`azure-devops-${name as string}-7.2.json`, prefix as string),
}));

const patListParameters = [
  'api-version',
  'displayFilterOption',
  'sortByOption',
  'isSortAscending',
  'continuationToken',
  '$top',
];

/** Compares a request with the description of its part of the API; returns what that does not allow. */
export function checkDescribed(request: SimulatorRequest): readonly string[] {
  const area = areas.find(({ pattern }) => pattern.test(request.path));
  if (!area) return ['outside of everything that is described'];
  const { method, headers } = request;
  // The description has two operations at one address, of which a check by address sees one.
  if (request.path.endsWith('/pats') && method === 'GET' && !request.query.has('authorizationId')) {
    const unknown = [...request.query.keys()].filter((name) => !patListParameters.includes(name));
    return unknown.map((name) => `unknown query parameter ${name}`);
  }
  return area.check({
    method,
    path: toDescribedPath(request.path),
    query: toDescribedQuery(request),
    contentType: headers['content-type'],
    body: request.body,
  });
}

/** Lists of repositories are described for a project alone; that of the organization is the same. */
function toDescribedPath(path: string): string {
  return path.replace(/^(\/[^/]+)(\/_apis\/git\/)/, '$1/any$2');
}

/** The version is described as a part of the query, and may be in `Accept` as well. */
function toDescribedQuery(request: SimulatorRequest): URLSearchParams {
  const query = new URLSearchParams(request.query);
  // Without a version it is refused, which says enough.
  query.set('api-version', findVersion(request) ?? '');
  return query;
}
