import { AuthError } from '../../errors.ts';
import type { HostClient, HostRequest, HostResponse } from '../../http/host-client.ts';
import type { AppAccess } from '../app-support.ts';
import { signAppToken } from './app-jwt.ts';
import { speak } from './ask.ts';
import { readRefusal, toRefusalError } from './refusals.ts';

/** By which GitHub says that the clocks differ too much. */
const clockRefusal = /'(?:Expiration time|Issued at)' claim/;

/** A client that signs each request with the App's key. */
export function openAsApp(access: AppAccess): HostClient {
  return { base: access.http.base, request: (request) => askAsApp(access, request) };
}

/**
 * Asks as the App. Where the clocks differ it signs once more, by the host's.
 *
 * @throws AuthError when GitHub refuses the key, or knows no such App.
 */
async function askAsApp(access: AppAccess, request: HostRequest): Promise<HostResponse> {
  const { app, host, http, now } = access;
  const accepted = request.accept ?? [];
  const send = (time: number): Promise<HostResponse> =>
    speak(http, null).request({
      ...request,
      authorization: { scheme: 'Bearer', secret: signAppToken(app, time) },
      accept: [...accepted, 401, 404],
    });
  let answer = await send(now());
  if (answer.status === 401 && clockRefusal.test(readRefusal(answer.body) ?? '')) {
    const hostTime = Date.parse(answer.headers.get('date') ?? '');
    if (!Number.isNaN(hostTime)) answer = await send(hostTime);
  }
  const { status, body } = answer;
  if (status !== 401 && status !== 404) return answer;
  const text = readRefusal(body) ?? '';
  if (status === 401) throw toKeyError(access, text);
  if (/integration not found/i.test(text)) {
    throw new AuthError(`There is no App with the number ${app.id} at ${host}.`, {
      hint: 'The number is the "App ID" on its settings page; the client id is something else.',
    });
  }
  if (accepted.includes(404)) return answer;
  throw toRefusalError(http.base, request, answer, null);
}

function toKeyError({ app, host }: AppAccess, text: string): AuthError {
  if (clockRefusal.test(text)) {
    return new AuthError(`${host} takes the clock of this machine for wrong: ${text}`, {
      hint: 'Set the clock, then run the command again.',
    });
  }
  return new AuthError(`${host} does not accept this key for the App ${app.id}: ${text}.`, {
    hint: `Is it a key of that very App? Make a new one on its settings page: ${host}/settings/apps`,
  });
}
