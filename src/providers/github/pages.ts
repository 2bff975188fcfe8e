/** Pages where people act. All lie at the host that they know, none at the API's. */

export function toTokensUrl(host: string): string {
  return `${host}/settings/tokens`;
}

export function toFineGrainedUrl(host: string): string {
  return `${host}/settings/personal-access-tokens`;
}

/** The programs that a person signed in to; beside it, in tabs, the Apps that they installed or allowed. */
export function toGrantsUrl(host: string): string {
  return `${host}/settings/applications`;
}

/** What a person allowed one OAuth App, with the state of each organization. */
export function toGrantUrl(host: string, clientId: string): string {
  return `${host}/settings/connections/applications/${encodeURIComponent(clientId)}`;
}

export function toInstallationsUrl(host: string): string {
  return `${host}/settings/installations`;
}
