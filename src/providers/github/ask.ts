import type { HostClient, HostResponse } from '../../http/host-client.ts';
import type { HostAccess } from '../provider.ts';
import { toHost } from './hosts.ts';
import { createForeignError, readRefusal, toRefusalError } from './refusals.ts';

/** What every request carries. Without a version it would be answered in whatever is the oldest that still lives. */
export const apiHeaders: Readonly<Record<string, string>> = {
  accept: 'application/vnd.github+json',
  'x-github-api-version': '2022-11-28',
};

/** Statuses by which GitHub refuses, with its reason in the headers or the body. */
const refusals = [401, 403, 404, 422];

/**
 * The same client in GitHub's manners: every request names the API's version, and every refusal says what it means.
 * A refusal that is not GitHub's own is the word of something in between, also where a caller accepts its status.
 *
 * @param kind - The kind of the credential; null for none.
 */
export function speak(http: HostClient, kind: string | null): HostClient {
  return {
    base: http.base,
    async request(request) {
      const accepted = request.accept ?? [];
      const answer: HostResponse = await http.request({
        ...request,
        headers: { ...apiHeaders, ...request.headers },
        accept: [...accepted, ...refusals],
      });
      const { status, body } = answer;
      if (!refusals.includes(status)) return answer;
      if (accepted.includes(status)) {
        if (readRefusal(body) === null) throw createForeignError(toHost(http.base), status);
        return answer;
      }
      throw toRefusalError(http.base, request, answer, kind);
    },
  };
}

/** The way to the API with a link's credential. */
export function openApi({ http, credential }: HostAccess): HostClient {
  return speak(http, credential.kind);
}
