import type { HostClient, HostResponse } from '../../http/host-client.ts';
import { route } from '../../http/route.ts';
import type { HostDescription } from '../provider.ts';
import { apiHeaders } from './ask.ts';
import { serverFlavour, toCloudHost } from './hosts.ts';
import * as schemas from './schemas.ts';
import * as v from 'valibot';

/**
 * github.com and its tenants are known by their names: asking would cost one of 60 anonymous calls that everybody
 * behind the same address has an hour. A server of a company that wants everybody to sign in refuses in GitHub's
 * words, or at least with its headers, and tells its version only later.
 */
export async function recognise(host: string, http: HostClient): Promise<HostDescription | null> {
  const cloud = toCloudHost(host);
  if (cloud !== null) return { host: cloud, flavour: 'github', version: null };
  const answer = await http.request({
    method: 'GET',
    route: route`/meta`,
    headers: apiHeaders,
    accept: [400, 401, 403, 404, 405, 410],
  });
  const named = answer.headers.get('x-github-enterprise-version');
  const version = /(\d+\.\d+(?:\.\d+)?)/.exec(named ?? '')?.[1] ?? null;
  if (answer.status !== 200) {
    return isGithubRefusal(answer) ? { host, flavour: serverFlavour, version } : null;
  }
  const meta = v.safeParse(schemas.meta, answer.body);
  if (!meta.success) return null;
  const { installed_version: installed, verifiable_password_authentication: isGithub } = meta.output;
  if (installed) return { host, flavour: serverFlavour, version: installed };
  return typeof isGithub === 'boolean' ? { host, flavour: 'github', version: null } : null;
}

/** Headers get lost in proxies, and a body alone may come from one: either will do. */
function isGithubRefusal({ status, headers, body }: HostResponse): boolean {
  if (status !== 401 && status !== 403) return false;
  const hasHeaders =
    headers.has('x-github-request-id') ||
    headers.has('x-github-enterprise-version') ||
    /realm="GitHub"/.test(headers.get('www-authenticate') ?? '');
  const refusal = v.safeParse(schemas.failure, body);
  const page = refusal.success ? (refusal.output.documentation_url ?? '') : '';
  return hasHeaders || /^https:\/\/docs\.github\.com\//.test(page);
}
