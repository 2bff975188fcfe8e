import { UsageError } from '../errors.ts';
import type { Route } from './host-client.ts';

/**
 * Builds a request path in which every value is one encoded segment, so that no id or name can leave its place.
 *
 * @example route`/repos/${owner}/${repository}/hooks`
 * @throws UsageError for an empty value, `.` or `..`, which servers and proxies resolve as path steps.
 */
export function route(parts: TemplateStringsArray, ...values: readonly (string | number)[]): Route {
  let path = parts[0] ?? '';
  let template = path;
  values.forEach((value, index) => {
    const text = String(value);
    if (text === '' || text === '.' || text === '..') {
      throw new UsageError(`"${text}" cannot be part of an address at the host.`);
    }
    const rest = parts[index + 1] ?? '';
    path += encodeURIComponent(text) + rest;
    template += `{}${rest}`;
  });
  return { path, template };
}
