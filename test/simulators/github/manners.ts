import type { SimulatorRequest } from '../routes.ts';
import { refuse, type GithubFlavour } from './call.ts';

const credentialParameters = ['access_token', 'client_secret', 'token'];

/** Where `2026-03-10` is known. */
const apiVersions: Readonly<Record<GithubFlavour, readonly string[]>> = {
  'github.com': ['2022-11-28', '2026-03-10'],
  tenant: ['2022-11-28', '2026-03-10'],
  'enterprise-server': ['2022-11-28'],
};

/**
 * What the service demands of every request, and what gitlink promises beside (`providers/github.md` §14).
 *
 * @throws Refusal 400 for a version that the API does not have, 403 without a `User-Agent`.
 */
export function checkManners(request: SimulatorRequest, flavour: GithubFlavour): void {
  const { headers, query, recordFailure } = request;
  const agent = headers['user-agent'];
  if (!agent?.startsWith('gitlink/')) recordFailure('a User-Agent that does not begin with "gitlink/"');
  const name = credentialParameters.find((parameter) => query.has(parameter));
  if (name !== undefined) recordFailure(`a credential in the query: ${name}`);
  if (headers.accept !== 'application/vnd.github+json') {
    recordFailure(`the API asked with "Accept: ${headers.accept ?? ''}"`);
  }
  const version = headers['x-github-api-version'];
  if (version === undefined) recordFailure('an API request that names no version');
  if (agent === undefined || agent === '') {
    throw refuse(
      403,
      'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.',
    );
  }
  if (version !== undefined && !apiVersions[flavour].includes(String(version))) {
    throw refuse(400, `${JSON.stringify(version)} is not a supported version.`);
  }
}
