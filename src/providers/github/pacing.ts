import type { Pacing } from '../../http/pacing.ts';
import { toCloudHost } from './hosts.ts';

/**
 * GitHub asks for a second between two changes and for 500 of them an hour; whoever goes on all the same may be
 * banned. It says in its answers when reading becomes too much.
 *
 * @see https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
 * @see https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
 */
export const pacing: Pacing = {
  concurrency: 8,
  minWriteIntervalMs: 1_000,
  writesPerHour: 500,
  unstatedLimitMs: 60_000,
};

/** Enterprise Servers have no limits unless their administrator switches them on; then their answers tell. */
const serverPacing: Pacing = { ...pacing, minWriteIntervalMs: 0, writesPerHour: null };

export function pacingOf(host: string): Pacing {
  return toCloudHost(host) === null ? serverPacing : pacing;
}
