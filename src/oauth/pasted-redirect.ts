/** What a person pasted: the callback's parameters, or what to tell them. */
export type PastedRedirect =
  | { readonly ok: true; readonly parameters: URLSearchParams }
  | { readonly ok: false; readonly problem: string };

const lengthLimit = 16_384;

/**
 * Reads the address to which the server sent the browser, where that browser runs on another machine and could
 * not reach the listener. The parameters pass the same judge as a callback's.
 *
 * @param text - What was pasted; browsers copy the address with or without its scheme.
 * @param redirectUri - The redirect of this flow.
 */
export function parsePastedRedirect(text: string, redirectUri: string): PastedRedirect {
  const trimmed = text.trim();
  if (trimmed === '') return { ok: false, problem: 'Nothing was pasted.' };
  if (trimmed.length > lengthLimit) return { ok: false, problem: 'This is too long for an address.' };
  const address = /^https?:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`;
  const url = URL.canParse(address) ? new URL(address) : null;
  const expected = new URL(redirectUri);
  const isRedirect =
    url !== null &&
    url.origin === expected.origin &&
    url.pathname === expected.pathname &&
    url.username === '' &&
    url.password === '';
  if (!isRedirect) {
    return {
      ok: false,
      problem: `Paste the whole address from the browser's address bar; it begins with ${redirectUri}?`,
    };
  }
  return { ok: true, parameters: url.searchParams };
}
