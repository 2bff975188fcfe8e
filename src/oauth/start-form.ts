import { createHash } from 'node:crypto';
import { escapeHtml, pageHeaders, style } from './final-page.ts';

/** A form that the person's browser sends to a host. */
export interface StartForm {
  readonly action: string;
  readonly fields: Readonly<Record<string, string>>;
  /** What the page says while it sends the form. */
  readonly title: string;
  /** The word on the button, for browsers without script. */
  readonly button: string;
}

/** The one script of this server: sends the form as soon as the page is there. */
const script = 'document.forms[0].submit()';
const scriptHash = createHash('sha256').update(script).digest('base64');

const buttonStyle = `button{margin-top:.75rem;padding:.6rem 1.75rem;border:0;border-radius:.6rem;background:var(--mark);color:var(--card);font:inherit;font-weight:600;cursor:pointer}`;

/** The page may run its one script and send its form to the host, and nothing else. The host may know where from. */
export function formHeaders({ action }: StartForm): Readonly<Record<string, string>> {
  return {
    ...pageHeaders,
    // Without an origin a server takes the form for forged.
    'Referrer-Policy': 'strict-origin',
    'Content-Security-Policy': `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptHash}'; form-action ${new URL(action).origin}; frame-ancestors 'none'`,
  };
}

/** Renders the page that sends the form. All texts are escaped. */
export function renderForm({ action, fields, title, button }: StartForm): string {
  const inputs = Object.entries(fields).map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)} · gitlink</title>
<style>${style}
${buttonStyle}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<form method="post" action="${escapeHtml(action)}">
${inputs.join('\n')}
<p><button type="submit">${escapeHtml(button)}</button></p>
</form>
<footer>gitlink, on this computer</footer>
</main>
<script>${script}</script>
</body>
</html>
`;
}
