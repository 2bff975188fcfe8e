import { ForbiddenError, InternalError, UsageError } from '../errors.ts';
import { assertReadable } from '../git/list-remote.ts';
import type { HostDescription, Identity, Provider } from '../providers/provider.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import type { OperationContext } from './context.ts';
import { assertPlainPath } from './restriction.ts';
import type { StoredCredential } from './stored-credential.ts';
import type { VerifiedCredential } from './verify-credential.ts';

export interface GitCredentialRequest {
  readonly credential: StoredCredential;
  /** The user name that belongs to the token. */
  readonly username: string;
  /** Where it is tried: a repository that it is for. */
  readonly repository: string;
  readonly caFile: string | null;
}

/**
 * Tries a credential that serves git alone at a repository: the host's API knows nothing of it.
 *
 * @throws AuthError, NotFoundError, UnreachableError as git found it.
 */
export async function verifyGitCredential(
  context: OperationContext,
  provider: Provider,
  description: HostDescription,
  request: GitCredentialRequest,
): Promise<VerifiedCredential> {
  const { credential, username, repository, caFile } = request;
  if (!/^[\x21-\x7e]{1,255}$/.test(username)) throw new UsageError('--username takes a name without spaces.');
  context.reporter.status('Trying the credential with git…');
  const identity: Identity = {
    account: { login: username, kind: 'unknown', id: null },
    credentialKind: credential.kind,
    scopes: null,
    expiresAt: null,
  };
  const git = provider.git.toGitCredential(credential, identity.account);
  if ('bearer' in git) throw new InternalError('A credential that serves git alone has a user name.');
  const name = assertPlainPath(repository);
  const url = provider.git.toRepositoryUrl?.(description.host, name) ?? `${description.host}/${name}.git`;
  await assertReadable({ url, ...git, caFile }, context);
  return { provider, description, credential, client: null, identity };
}

/** Whether a link's credential serves git alone. */
export function isGitOnly(
  provider: Provider,
  { credentialKind }: Pick<LinkRecord, 'credentialKind'>,
): boolean {
  return provider.gitOnlyKinds?.includes(credentialKind) ?? false;
}

/** @throws ForbiddenError for a link whose credential serves git alone. */
export function assertServesApi(provider: Provider, link: LinkRecord): void {
  if (!isGitOnly(provider, link)) return;
  throw new ForbiddenError(
    `"${link.name}" holds a ${link.credentialKind.replaceAll('-', ' ')}, which serves git alone.`,
    {
      hint: `For everything else give it another token: gitlink relink ${link.name} --allow-account-change`,
    },
  );
}
