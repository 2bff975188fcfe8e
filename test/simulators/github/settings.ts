import type { GithubFlavour, GithubSettings } from './call.ts';
import { realLimits } from './limits.ts';

/** What the sheet says of each, where it says something. */
export function defaultSettings(flavour: GithubFlavour): GithubSettings {
  const isServer = flavour === 'enterprise-server';
  return {
    installedVersion: '3.19.1',
    privateMode: false,
    tellsVersion: true,
    expiryFormat: 'utc',
    statelessTokens: !isServer,
    allowsLocalWebhooks: isServer,
    maxHooksPerEvent: 20,
    redirectsRenamed: true,
    maxFailedLogins: 30,
    hasRateLimits: !isServer,
    limits: { ...realLimits },
    secondaryRetryAfter: true,
    limitStatus: 403,
    accessTokenLifeS: 28_800,
    refreshTokenLifeS: 15_897_600,
    deviceCodeLifeS: 900,
    deviceIntervalS: 5,
    knowsOfflineAccess: !isServer,
    replicationLagMs: 0,
    clockOffsetMs: 0,
  };
}
