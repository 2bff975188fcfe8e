import { UsageError } from '../errors.ts';
import type { Route } from './host-client.ts';

/**
 * Builds a request path in which every value is one encoded segment, so that no id or name can leave its place. A
 * route among the values is continued as it is.
 *
 * @example route`/repos/${owner}/${repository}/hooks`
 * @example route`${hooks}/${hookId}`
 * @throws UsageError for an empty value, `.` or `..`, which servers and proxies resolve as path steps.
 */
export function route(parts: TemplateStringsArray, ...values: readonly (string | number | Route)[]): Route {
  let path = parts[0] ?? '';
  let template = path;
  values.forEach((value, index) => {
    const rest = parts[index + 1] ?? '';
    if (typeof value === 'object') {
      path += value.path + rest;
      template += value.template + rest;
      return;
    }
    const text = String(value);
    if (text === '' || text === '.' || text === '..') {
      throw new UsageError(`"${text}" cannot be part of an address at the host.`);
    }
    path += encodeURIComponent(text) + rest;
    template += `{}${rest}`;
  });
  return { path, template };
}
