import type { SimulatorRequest } from '../routes.ts';
import { refuse, type AzureDevopsContext } from './call.ts';

/** What a request wants: in the query, or in `Accept: application/json;api-version=7.1`. */
export function findVersion({ query, headers }: SimulatorRequest): string | null {
  return query.get('api-version') ?? /;\s*api-version=([^;,\s]+)/.exec(headers.accept ?? '')?.[1] ?? null;
}

/**
 * Demands a version that there is (`providers/azure-devops.md` §1).
 *
 * @param isPreview - Whether the resource was never released.
 * @throws Refusal 400.
 */
export function requireVersion(
  { highestVersion, deployment }: AzureDevopsContext,
  request: SimulatorRequest,
  isPreview: boolean,
): void {
  const text = findVersion(request);
  if (text === null) {
    const message = `No api-version was supplied for the "${request.method}" request. The version must be supplied either as part of the Accept header (e.g. "application/json; api-version=1.0") or as a query parameter (e.g. "?api-version=1.0").`;
    throw refuse(400, 'VssVersionNotSpecifiedException', message);
  }
  const match = /^(\d+\.\d+)(-preview(?:\.\d+)?)?$/.exec(text);
  if (!match) {
    throw refuse(400, 'VssVersionNotSupportedException', `The api-version "${text}" is not valid.`);
  }
  const [, version = '', preview] = match;
  if (Number(version) > Number(highestVersion)) {
    const message = `The requested REST API version of ${version} is out of range for this server. The latest REST API version this server supports is ${highestVersion}.`;
    throw refuse(400, 'VssVersionOutOfRangeException', message);
  }
  const isNewest = deployment === 'hosted' && version === highestVersion;
  if (preview === undefined && (isPreview || isNewest)) {
    const message = `The requested version "${version}" of the resource is under preview. The -preview flag must be supplied in the api-version for such requests. For example: "${version}-preview"`;
    throw refuse(400, 'VssInvalidPreviewVersionException', message);
  }
}
