import type { PlainAnswer } from '../routes.ts';

/** Entra's errors by their number: the name in OAuth, the status, the words. */
const errors = {
  50011: [
    'invalid_request',
    400,
    'The redirect URI specified in the request does not match the redirect URIs configured for the application.',
  ],
  50020: [
    'invalid_request',
    400,
    'User account from identity provider does not exist in tenant and cannot access the application in that tenant.',
  ],
  50076: [
    'interaction_required',
    400,
    'Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource.',
  ],
  50173: [
    'invalid_grant',
    400,
    'The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.',
  ],
  53003: [
    'invalid_grant',
    400,
    'Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.',
  ],
  54005: [
    'invalid_grant',
    400,
    'OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.',
  ],
  65001: ['invalid_grant', 400, 'The user or administrator has not consented to use the application.'],
  65004: ['access_denied', 400, 'User declined to consent to access the app.'],
  70000: ['invalid_grant', 400, 'Provided grant is invalid or malformed.'],
  70003: ['unsupported_grant_type', 400, 'The app requested an unsupported grant type.'],
  70011: ['invalid_scope', 400, "The provided value for the input parameter 'scope' is not valid."],
  70016: [
    'authorization_pending',
    400,
    'OAuth 2.0 device flow error. Authorization is pending. Continue polling.',
  ],
  70018: [
    'bad_verification_code',
    400,
    'Invalid verification code due to User typing in wrong user code for device code flow.',
  ],
  70019: ['authorization_declined', 400, 'The end user denied the authorization request.'],
  70020: [
    'expired_token',
    400,
    'The provided value for the input parameter device_code is not valid. This device code has expired.',
  ],
  90002: [
    'invalid_request',
    400,
    'Tenant not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.',
  ],
  90094: [
    'access_denied',
    400,
    'An administrator has set a policy that prevents you from granting the application the permissions it is requesting.',
  ],
  700005: [
    'invalid_grant',
    400,
    'Provided Authorization Code is intended to use against other tenant, thus rejected.',
  ],
  700016: ['unauthorized_client', 400, 'Application with the identifier was not found in the directory.'],
  700025: [
    'invalid_client',
    401,
    "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
  ],
  700082: ['invalid_grant', 400, 'The refresh token has expired due to inactivity.'],
  900021: [
    'invalid_request',
    400,
    "Requested tenant identifier '00000000-0000-0000-0000-000000000000' is not valid. Tenant identifiers may not be an empty GUID.",
  ],
  900144: ['invalid_request', 400, 'The request body must contain the following parameter.'],
  501481: [
    'invalid_grant',
    400,
    'The Code_Verifier does not match the code_challenge supplied in the authorization request.',
  ],
  1002012: [
    'invalid_scope',
    400,
    'The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).',
  ],
  7000215: [
    'invalid_client',
    401,
    'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app.',
  ],
  7000218: [
    'invalid_client',
    401,
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  ],
} as const satisfies Readonly<Record<number, readonly [string, number, string]>>;

export type EntraErrorCode = keyof typeof errors;

const suberrors: Readonly<Record<number, string>> = {
  50076: 'basic_action',
  53003: 'message_only',
  65001: 'consent_required',
};

export function nameOf(code: EntraErrorCode): string {
  return errors[code][0];
}

export function describeError(code: EntraErrorCode): string {
  return `AADSTS${code}: ${errors[code][2]} Trace ID: ${traceId} Correlation ID: ${traceId} Timestamp: ${timestamp}`;
}

const traceId = 'ca4a7900-0000-4000-8000-00000000cafe';
const timestamp = '2026-01-02 03:04:05Z';

/** An error of the token or device endpoint (`providers/azure-devops.md` §2a). */
export function refuseEntra(code: EntraErrorCode): PlainAnswer {
  const [error, status] = errors[code];
  const json = {
    error,
    error_description: describeError(code),
    error_codes: [code],
    timestamp,
    trace_id: traceId,
    correlation_id: traceId,
    error_uri: `https://login.microsoftonline.com/error?code=${code}`,
    ...(suberrors[code] === undefined ? {} : { suberror: suberrors[code] }),
  };
  return { status, headers: noStore, json };
}

export const noStore = { 'cache-control': 'no-store, no-cache', pragma: 'no-cache' } as const;

/** A page that says the same to somebody before a browser. */
export function renderError(code: EntraErrorCode): PlainAnswer {
  return {
    ...renderPage('Sign in to your account', `<p>${describeError(code)}</p>`),
    status: errors[code][1],
  };
}

export function renderPage(title: string, content: string): PlainAnswer {
  const head = `<!doctype html><html lang="en"><head><title>${escapeHtml(title)}</title><link rel="icon" href="data:,"></head>`;
  return {
    status: 200,
    text: `${head}<body><h1>${escapeHtml(title)}</h1>${content}</body></html>`,
    contentType: 'text/html; charset=utf-8',
  };
}

/** The form that the browsers of the tests know. */
export function renderDecision(title: string, action: string, items: readonly string[]): PlainAnswer {
  const list = items.map((item) => `<li>${escapeHtml(item)}</li>`).join('');
  return renderPage(
    title,
    `<ul>${list}</ul>
<form method="post" action="${escapeHtml(action)}">
<button name="decision" value="approve">Accept</button>
<button name="decision" value="deny">Cancel</button>
</form>`,
  );
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
