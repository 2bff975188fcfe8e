import type { SimulatorRequest } from '../routes.ts';

/** What no server demands but gitlink promises, and an address that not everything on its way leaves alone. */
export function checkManners({ headers, incoming, recordFailure }: SimulatorRequest): void {
  if (!headers['user-agent']?.startsWith('gitlink/')) {
    recordFailure('a User-Agent that does not begin with "gitlink/"');
  }
  if (/[{}]/.test(incoming.url ?? '')) recordFailure('braces that are not encoded');
}
