import type { Provider, TokenShape } from '../providers/provider.ts';
import type { Secret } from '../secret.ts';

/**
 * Judges a pasted token by its shape, and by the user name that was given beside it: that tells a credential for git
 * alone where the shape does not. What could not travel in a header is no token.
 *
 * @param username - Null where none was given.
 */
export function judgeTokenShape(provider: Provider, token: Secret, username: string | null): TokenShape {
  if (!token.isPrintableAscii) {
    return {
      use: 'none',
      what: 'something with characters that no token has',
      hint: 'A token holds visible ASCII characters only, and no space.',
    };
  }
  const shape = provider.recogniseToken?.(token) ?? { use: 'api', kind: 'token' };
  const isForGit = shape.use === 'api' && shape.gitKind !== undefined && username !== null;
  return isForGit ? { use: 'git', kind: shape.gitKind } : shape;
}
