import { toCurrentPlace } from '../git/host-match.ts';
import { listRemotes } from '../git/remotes.ts';
import type { Session } from './session.ts';

/** The hosts of the remotes of the repository around, as base URLs; none where there is no repository or git. */
export async function findRemoteHosts({ runtime }: Session): Promise<readonly string[]> {
  try {
    const hosts = (await listRemotes(runtime)).flatMap(({ url }) => {
      if (url === null) return [];
      // The port of SSH says nothing about the web server's.
      const port = url.port === null || url.protocol === 'ssh' ? '' : `:${url.port}`;
      const place = toCurrentPlace({ ...url, host: `${url.host}${port}` });
      return [`${url.protocol === 'http' ? 'http' : 'https'}://${place.host}`];
    });
    return [...new Set(hosts)];
  } catch {
    // Only a suggestion: without git there is none.
    return [];
  }
}
