import { createRequestCheck, type CheckedRequest } from '../../support/openapi-check.ts';

/** Lists that take pages, as the intro of the description says of all of them, though theirs does not. */
const undescribedPages = /\/(webhooks|webhooks\/search|users)$/;

/** Compares requests with the official description of 9.4, whatever the version: it grows by additions. */
export function createDcRequestCheck(): (request: CheckedRequest) => readonly string[] {
  const check = createRequestCheck('bitbucket-data-center.9.4.openapi-3.0.1.json', '/rest');
  return (request) => {
    const query = new URLSearchParams(request.query);
    if (undescribedPages.test(request.path)) {
      query.delete('start');
      query.delete('limit');
    }
    // What a permission is of is described in words.
    if (query.has('permission')) query.delete('permission.projectKey');
    // The description says `latest` everywhere; `1.0` is the same.
    const path = request.path.replace(/^(\/rest\/[a-z-]+)\/1\.0\//, '$1/latest/');
    return check({ ...request, path, query });
  };
}
