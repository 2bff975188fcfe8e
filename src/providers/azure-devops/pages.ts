/** Where all organizations of Azure DevOps Services are. */
export const cloudHost = 'https://dev.azure.com';

/** Tokens and identities of organizations; a test server has every service under its own address. */
export function toIdentityBase(host: string): string {
  return host === cloudHost ? 'https://vssps.dev.azure.com' : `${host}/vssps`;
}

/** What belongs to no organization: profiles, and which organizations there are. */
export function toProfileBase(host: string): string {
  return host === cloudHost ? 'https://app.vssps.visualstudio.com' : `${host}/app-vssps`;
}

/** Where Entra signs people in. */
export function toLoginBase(host: string): string {
  return host === cloudHost ? 'https://login.microsoftonline.com' : `${host}/login`;
}

/** Where a person makes, changes and ends their tokens. */
export function toTokensUrl(host: string, organization: string | null | undefined): string {
  return `${toOrganizationUrl(host, organization)}/_usersettings/tokens`;
}

/** An organization's page; the host's where none is known. */
export function toOrganizationUrl(host: string, organization: string | null | undefined): string {
  return organization ? `${host}/${encodeURIComponent(organization)}` : host;
}

/** Where a person registers applications at Entra. */
export function toRegistrationsUrl(host: string): string {
  return host === cloudHost
    ? 'https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade'
    : `${host}/login/registrations`;
}

/** The applications that a person consented to. */
export function toGrantsUrl(host: string): string {
  return host === cloudHost ? 'https://myapps.microsoft.com' : `${host}/login/applications`;
}

/** The page with the webhooks of a project, which has those of its repositories, too. */
export function toHooksUrl(host: string, name: string): string {
  const place = name.split('/').slice(0, 2).map(encodeURIComponent).join('/');
  return `${host}/${place}/_settings/serviceHooks`;
}
