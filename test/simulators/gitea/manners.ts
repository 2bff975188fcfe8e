import type { SimulatorRequest } from '../routes.ts';

/** What no server demands but gitlink promises: it says who it is. */
export function checkManners(request: SimulatorRequest): void {
  if (!request.headers['user-agent']?.startsWith('gitlink/')) {
    request.recordFailure('a User-Agent that does not begin with "gitlink/"');
  }
}
