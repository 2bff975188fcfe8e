import { join } from 'node:path';

/**
 * Lets Node keep compiled code (Node 22.8 and newer). In the user's own cache directory: Node's default lies
 * where every user of the machine can write, and compiled code is run unseen. A run with an environment link
 * writes no file at all.
 */
export function enableOwnCompileCache(): void {
  const { env, platform, versions } = process;
  // Loading the module to see that it cannot would cost Node 20 a millisecond.
  if (versions.node.startsWith('20.')) return;
  // `@types/node` of the oldest supported Node does not know the function.
  const { enableCompileCache } = process.getBuiltinModule('node:module') as {
    readonly enableCompileCache?: (directory: string) => unknown;
  };
  const home = env['HOME'];
  if (!enableCompileCache || env['GITLINK_PROVIDER']) return;
  const cache =
    platform === 'win32'
      ? env['LOCALAPPDATA']
      : (env['XDG_CACHE_HOME'] ?? (home && join(home, platform === 'darwin' ? 'Library/Caches' : '.cache')));
  if (cache) enableCompileCache(join(cache, 'gitlink', 'compiled'));
}
