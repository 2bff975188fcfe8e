export type GiteaFlavour = 'gitea' | 'forgejo';

/** What differs between products and versions, as `providers/gitea.md` tells; handlers ask this, never a version. */
export interface GiteaBehaviour {
  readonly flavour: GiteaFlavour;
  readonly version: string;
  /** `GET` and `DELETE /token`. */
  readonly hasTokenEndpoint: boolean;
  /** Hooks have a `name`. */
  readonly hasHookNames: boolean;
  /** A hook's `authorization_header` is returned in clear. */
  readonly showsAuthorizationHeader: boolean;
  /** Top-level `url`, `content_type` and `metadata` in hooks. */
  readonly repeatsHookConfig: boolean;
  readonly hookTypes: readonly string[];
  /** A missing scope is answered with the scopes that the token has. */
  readonly tellsTokenScopes: boolean;
  readonly invalidTokenMessage: string;
  readonly redirectStatus: 301 | 307;
  readonly notFoundMessage: string;
  /** 404 bodies have `errors`. */
  readonly hasErrorsInNotFound: boolean;
  /** What a `public-only` token gets for a private repository. */
  readonly publicOnlyStatus: 403 | 404;
  /** A token in Basic authentication may create and delete tokens. */
  readonly takesTokenAsBasic: boolean;
  /** Listing tokens needs Basic authentication. */
  readonly listsTokensOnlyByBasic: boolean;
  /** A token cannot make one that may do more. */
  readonly limitsMintedScopes: boolean;
  /** Tokens can be limited to repositories. */
  readonly hasRepositoryTokens: boolean;
  /** `workflow_*` at Gitea, `action_run_*` at Forgejo. */
  readonly actionEvents: readonly string[];
  /** `pull_request_review` is read back as the events it stands for. */
  readonly expandsReviewEvent: boolean;
  /** Events that PATCH leaves as they are. */
  readonly untouchedEvents: readonly string[];
  /** Lists of organization and user hooks have a `Link`. */
  readonly linksOwnerHooks: boolean;
  /** A test delivery for an empty repository is 404; else it is 204 and nothing is sent. */
  readonly refusesTestOfEmpty: boolean;
  /** Old names redirect only those who may see the repository. */
  readonly hidesRedirects: boolean;
  readonly hasInstallationTargetType: boolean;
  readonly otpHeader: string;
  /** OAuth tokens are limited to their scopes; else they may do everything. */
  readonly honoursOAuthScopes: boolean;
  /** Scopes of OAuth may be separated by commas too. */
  readonly splitsScopesAtCommas: boolean;
  /** A name that is no scope is left out; else it lifts the whole limit. */
  readonly dropsUnknownScopes: boolean;
  /** The default of `INVALIDATE_REFRESH_TOKENS`. */
  readonly invalidatesRefreshTokens: boolean;
  /** A client learns nothing of other clients' tokens. */
  readonly introspectsOnlyOwn: boolean;
  /** Introspecting a dead token is 401, because the token itself is taken for a credential. */
  readonly refusesDeadIntrospection: boolean;
  /** Applications have `skip_secondary_authorization`. */
  readonly hasSkippedConsent: boolean;
  /** The issuer ends with a slash. */
  readonly hasSlashInIssuer: boolean;
}

const chatHookTypes = [
  'gogs',
  'slack',
  'discord',
  'dingtalk',
  'telegram',
  'msteams',
  'feishu',
  'wechatwork',
  'packagist',
];

const forgejoActionEvents = ['action_run_failure', 'action_run_recover', 'action_run_success'];

/**
 * Describes one version.
 *
 * @param version - As `1.27.0`; for Forgejo the whole string may be given or only `16.0.0`.
 */
export function describeBehaviour(
  flavour: GiteaFlavour,
  version: string = flavour === 'gitea' ? '1.27.0' : '16.0.0',
): GiteaBehaviour {
  return flavour === 'gitea' ? describeGitea(version) : describeForgejo(version);
}

function describeGitea(version: string): GiteaBehaviour {
  const minor = Number(version.split('.')[1]);
  return {
    flavour: 'gitea',
    version,
    hasTokenEndpoint: minor >= 27,
    hasHookNames: minor >= 26,
    showsAuthorizationHeader: minor < 27,
    repeatsHookConfig: false,
    hookTypes: ['gitea', ...chatHookTypes],
    tellsTokenScopes: minor >= 23,
    invalidTokenMessage:
      minor >= 27 ? 'invalid username, password or token' : 'user does not exist [uid: 0, name: ]',
    redirectStatus: minor >= 24 ? 301 : 307,
    notFoundMessage: minor >= 27 ? 'not found' : "The target couldn't be found.",
    hasErrorsInNotFound: minor < 27,
    publicOnlyStatus: minor >= 27 ? 404 : 403,
    takesTokenAsBasic: true,
    listsTokensOnlyByBasic: true,
    limitsMintedScopes: minor >= 27,
    hasRepositoryTokens: false,
    actionEvents: minor >= 24 ? ['workflow_run', 'workflow_job'] : [],
    expandsReviewEvent: minor < 24,
    untouchedEvents: [],
    linksOwnerHooks: minor >= 27,
    refusesTestOfEmpty: minor >= 27,
    hidesRedirects: false,
    hasInstallationTargetType: minor >= 24,
    otpHeader: 'x-gitea-otp',
    honoursOAuthScopes: minor >= 23,
    splitsScopesAtCommas: true,
    dropsUnknownScopes: false,
    invalidatesRefreshTokens: false,
    introspectsOnlyOwn: minor >= 27,
    // Seen at 1.26.4; other versions are unverified.
    refusesDeadIntrospection: minor === 26,
    hasSkippedConsent: minor >= 23,
    hasSlashInIssuer: minor < 25,
  };
}

function describeForgejo(version: string): GiteaBehaviour {
  const major = Number(version.split('.')[0]);
  return {
    flavour: 'forgejo',
    version: version.includes('+') ? version : `${version}+gitea-1.22.0`,
    hasTokenEndpoint: false,
    hasHookNames: false,
    showsAuthorizationHeader: true,
    repeatsHookConfig: true,
    hookTypes: ['forgejo', 'gitea', ...chatHookTypes],
    tellsTokenScopes: false,
    invalidTokenMessage: 'user does not exist [uid: 0, name: ]',
    redirectStatus: 301,
    notFoundMessage: "The target couldn't be found.",
    hasErrorsInNotFound: true,
    publicOnlyStatus: major >= 15 ? 404 : 403,
    takesTokenAsBasic: major < 12,
    listsTokensOnlyByBasic: major < 11,
    limitsMintedScopes: false,
    hasRepositoryTokens: major >= 15,
    actionEvents: forgejoActionEvents,
    expandsReviewEvent: true,
    untouchedEvents: ['package', ...forgejoActionEvents],
    linksOwnerHooks: false,
    refusesTestOfEmpty: true,
    hidesRedirects: true,
    hasInstallationTargetType: false,
    otpHeader: 'x-forgejo-otp',
    honoursOAuthScopes: major >= 9,
    splitsScopesAtCommas: false,
    dropsUnknownScopes: true,
    invalidatesRefreshTokens: major >= 9,
    introspectsOnlyOwn: false,
    refusesDeadIntrospection: false,
    hasSkippedConsent: false,
    hasSlashInIssuer: major < 12,
  };
}
