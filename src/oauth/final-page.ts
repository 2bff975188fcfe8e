/** What the last page of a sign-in says. */
export interface FinalPage {
  readonly kind: 'done' | 'failed' | 'refused';
  readonly title: string;
  readonly text: string;
}

/**
 * The headers of everything that the local server sends: nothing is stored, framed, sniffed, referred to or
 * loaded, and there is no CORS header (RFC 9700 §4.2, §4.3).
 */
export const pageHeaders = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  Connection: 'close',
} as const;

const marks: Readonly<Record<FinalPage['kind'], string>> = {
  done: '<path d="m14 25 7 7 14-15"/>',
  failed: '<path d="M16 16l16 16M32 16 16 32"/>',
  refused: '<path d="M24 13v14M24 34v.1"/>',
};

/** The look of every page of this server. */
export const style = `:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--line:#e3e6ea;--ink:#1a1d21;--soft:#5b636d;--mark:#1a7f45}
@media(prefers-color-scheme:dark){:root{--ground:#111418;--card:#1a1e24;--line:#2c323a;--ink:#eceff3;--soft:#a2abb6;--mark:#4cc27f}}
.failed{--mark:#c0362c}.refused{--mark:#a86200}
@media(prefers-color-scheme:dark){.failed{--mark:#ff7b6f}.refused{--mark:#e8a33d}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:27rem;padding:2.5rem 2rem 2rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;text-align:center}
svg{width:3.5rem;height:3.5rem;fill:none;stroke:var(--mark);stroke-width:3;stroke-linecap:round;stroke-linejoin:round}
h1{margin:1rem 0 .5rem;font-size:1.375rem;line-height:1.3;font-weight:650}
h1,p{text-wrap:balance;overflow-wrap:anywhere}
p{margin:0;color:var(--soft)}
footer{margin-top:2rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.8125rem}`;

/** Renders a page: static, without script, secret or anything from elsewhere. All texts are escaped. */
export function renderPage(page: FinalPage): string {
  return `<!doctype html>
<html lang="en" class="${page.kind}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(page.title)} · gitlink</title>
<style>${style}</style>
</head>
<body>
<main>
<svg viewBox="0 0 48 48" aria-hidden="true"><circle cx="24" cy="24" r="21"/>${marks[page.kind]}</svg>
<h1>${escapeHtml(page.title)}</h1>
<p>${escapeHtml(page.text)}</p>
<footer>gitlink, on this computer</footer>
</main>
</body>
</html>
`;
}

/** Makes a text safe in HTML, attributes included. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
