import { existsSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';

interface Page {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Where a visit ended. */
export interface Visit extends Page {
  readonly url: string;
  /** Every address that was asked for, in order. */
  readonly addresses: readonly string[];
}

const stepLimit = 20;

/**
 * A browser of a few lines, without scripts: follows redirects, keeps cookies, presses one button.
 *
 * @param decision - Which button of the consent page to press; `leave` looks at the page and goes away.
 * @param stopsAt - An address that is not asked for any more: the visit ends before it.
 */
export async function visit(
  address: string,
  decision: 'approve' | 'deny' | 'leave' = 'approve',
  stopsAt: (url: string) => boolean = () => false,
): Promise<Visit> {
  const cookies = new Map<string, string>();
  const addresses: string[] = [];
  let url = address;
  let body: URLSearchParams | null = null;
  for (let step = 0; step < stepLimit; step += 1) {
    addresses.push(url);
    if (stopsAt(url)) return { url, status: 0, headers: {}, text: '', addresses };
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response: Page = await load(url, cookie, body);
    for (const set of response.headers['set-cookie'] ?? []) {
      const [name = '', value = ''] = (set.split(';')[0] ?? '').split('=');
      cookies.set(name, value);
    }
    const { status, headers, text } = response;
    const { location } = headers;
    const action = /<form method="post" action="([^"]+)"/.exec(text)?.[1];
    if (location !== undefined) {
      url = new URL(location, url).href;
      body = null;
    } else if (action !== undefined && decision !== 'leave') {
      url = new URL(action, url).href;
      body = new URLSearchParams([...readHidden(text), ['decision', decision]]);
    } else {
      return { url, status, headers, text, addresses };
    }
  }
  throw new Error(`The browser was sent around in circles, at last to ${new URL(url).origin}.`);
}

/** Sends a form as a page does, and stays where it leads without following. */
export async function submitForm(
  action: string,
  fields: Readonly<Record<string, string>>,
): Promise<{ readonly text: string; readonly location: string | null }> {
  const { text, headers } = await load(action, '', new URLSearchParams(fields));
  return { text, location: headers.location ?? null };
}

/** The hidden fields of the first form of a page. */
function readHidden(page: string): [name: string, value: string][] {
  const form = /<form method="post"[^]*?<\/form>/.exec(page)?.[0] ?? '';
  const fields = form.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g);
  return [...fields].map(([, name = '', value = '']) => [decodeHtml(name), decodeHtml(value)]);
}

function decodeHtml(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
}

/** `fetch` would call itself a script's request. */
function load(url: string, cookie: string, body: URLSearchParams | null): Promise<Page> {
  const text = body?.toString() ?? '';
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method: body === null ? 'GET' : 'POST',
        agent: false,
        headers: {
          'sec-fetch-dest': 'document',
          'sec-fetch-mode': 'navigate',
          ...(cookie === '' ? {} : { cookie }),
          ...(body === null
            ? {}
            : {
                'content-type': 'application/x-www-form-urlencoded',
                'content-length': Buffer.byteLength(text),
              }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const { statusCode = 0, headers } = response;
          resolve({ status: statusCode, headers, text: Buffer.concat(chunks).toString() });
        });
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}

const chromiumPath = process.env['CHROMIUM_BIN'] ?? '/usr/bin/chromium';

/** Why there is no real browser here, for tests to print when they skip; null where there is one. */
export const chromiumObstacle = existsSync(chromiumPath) ? null : `${chromiumPath} is not installed`;

/** Starts headless Chromium; the caller closes it. */
export async function startChromium() {
  const { chromium } = await import('playwright-core');
  return chromium.launch({
    executablePath: chromiumPath,
    // Containers that run as root have no sandbox to offer; only pages of the tests are opened.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
}
