/**
 * Whether a server has what came with a version. One whose version is unknown is worth the try, because GitLab
 * passes over what it does not know.
 *
 * @param text - As `19.6.0-ee` or `19.7.0-pre`; null where the host does not tell.
 */
function isSince(text: string | null, wantedMajor: number, wantedMinor: number): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text ?? '') ?? [];
  if (major === undefined || Number(major) > wantedMajor) return true;
  return Number(major) === wantedMajor && Number(minor) >= wantedMinor;
}

/** Hooks with names: GitLab 17.1. */
export function hasHookNames(text: string | null): boolean {
  return isSince(text, 17, 1);
}

/** Deliveries that are signed with a `signing_token`: GitLab 19.0. */
export function signsDeliveries(text: string | null): boolean {
  return isSince(text, 19, 0);
}
