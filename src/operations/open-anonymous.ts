import type { HostClient } from '../http/host-client.ts';
import type { Pacing } from '../http/pacing.ts';
import type { Provider } from '../providers/provider.ts';
import type { OperationContext } from './context.ts';

/** How fast a host of a provider may be asked. */
export function findPacing(provider: Provider, host: string): Pacing {
  return provider.pacingOf?.(host) ?? provider.pacing;
}

/**
 * Opens the way to a host without a credential.
 *
 * @param options - `base`: where it begins, default the host's API. `signal`: what ends it, default the command's.
 */
export function openAnonymous(
  context: Pick<OperationContext, 'openHostClient'>,
  provider: Provider,
  host: string,
  caFile: string | null,
  options: { readonly base?: string; readonly signal?: AbortSignal } = {},
): Promise<HostClient> {
  return context.openHostClient({
    base: provider.toApiBase(host),
    caFile,
    pacing: findPacing(provider, host),
    authorize: null,
    ...options,
  });
}
