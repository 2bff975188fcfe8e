import { request } from 'node:http';
import type { GiteaAccount, RealGitea } from './real-gitea.ts';

interface Page {
  readonly status: number;
  readonly text: string;
  /** Where it leads on, null for a page to look at. */
  readonly location: string | null;
}

/**
 * Plays the person before the browser: signs in at a real Gitea and presses a button of the page that asks for
 * consent.
 *
 * @param address - What the browser was to open: the authorization URL, or gitlink's own that leads to it.
 * @returns where Gitea sends the browser then: gitlink's callback. Nobody has asked for that address yet.
 */
export async function approveInGitea(
  { url }: Pick<RealGitea, 'url'>,
  address: string,
  { login, password }: Pick<GiteaAccount, 'login' | 'password'>,
  decision: 'approve' | 'deny' = 'approve',
): Promise<string> {
  const cookies = new Map<string, string>();
  const loginPage = await browse(cookies, `${url}/user/login`);
  const entered = { ...readHiddenFields(loginPage), user_name: login, password };
  const entry = await browse(cookies, `${url}/user/login`, entered);
  if (entry.location === null) throw new Error(`${login} cannot sign in at ${url}.`);

  let page = await browse(cookies, address);
  while (page.location?.startsWith(`${url}/`)) page = await browse(cookies, page.location);
  if (page.location !== null) return page.location;
  const granted = decision === 'approve' ? 'true' : 'false';
  const answer = { ...readHiddenFields(page), granted };
  const { location, status } = await browse(cookies, `${url}/login/oauth/grant`, answer);
  if (location === null)
    throw new Error(`Gitea asked for no consent (${page.status}) or took none (${status}).`);
  return location;
}

/** Asks for one page; `fetch` would call itself a script's request, which gitlink's own page refuses. */
function browse(
  cookies: Map<string, string>,
  url: string,
  form?: Readonly<Record<string, string>>,
): Promise<Page> {
  const body = form ? new URLSearchParams(form).toString() : '';
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: form ? 'POST' : 'GET',
      agent: false,
      headers: {
        'sec-fetch-mode': 'navigate',
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
        'content-length': Buffer.byteLength(body),
      },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const { statusCode: status = 0, headers } = response;
      for (const cookie of headers['set-cookie'] ?? []) {
        const [name = '', value = ''] = (cookie.split(';')[0] ?? '').split('=');
        cookies.set(name, value);
      }
      const location = headers.location === undefined ? null : new URL(headers.location, url).href;
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status, text, location }));
    });
    sent.end(body);
  });
}

/** What a form sends along unseen; before Gitea 1.26 a token against forged requests is among it. */
function readHiddenFields({ text }: Page): Record<string, string> {
  const fields = text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g);
  const decode = (value: string) =>
    value
      .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
      .replaceAll('&amp;', '&');
  return Object.fromEntries([...fields].map(([, name = '', value = '']) => [name, decode(value)]));
}
