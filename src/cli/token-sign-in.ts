import { UsageError } from '../errors.ts';
import type { RecognisedHost } from '../operations/recognise-host.ts';
import { judgeTokenShape } from '../operations/token-shape.ts';
import { verifyCredential, type VerifiedCredential } from '../operations/verify-credential.ts';
import { verifyGitCredential } from '../operations/verify-git-credential.ts';
import { toPrintable } from '../printable.ts';
import type { AccountKind } from '../providers/provider.ts';
import { obtainToken, type CredentialFlags } from './credential-flags.ts';
import type { Session } from './session.ts';

/** What is wanted of a token. */
export interface TokenSignInWish {
  readonly flags: CredentialFlags;
  /** Where a credential that serves git alone is tried, and one with no user behind it belongs. */
  readonly repositories: readonly string[];
  readonly namespaces: readonly string[];
  /** What a person types to come here again, with a credential flag at its end. */
  readonly commandLine: string;
}

/**
 * Gets a token, judges it by its shape, and has the host verify it.
 *
 * @throws UsageError for something else that looks like a token.
 */
export async function verifyToken(
  session: Session,
  { provider, description }: RecognisedHost,
  { flags, repositories, namespaces, commandLine }: TokenSignInWish,
): Promise<VerifiedCredential> {
  const places = [...repositories, ...namespaces];
  const { context, prompter } = session;
  const token = await obtainToken(session, provider, { place: description, commandLine }, flags);
  const shape = judgeTokenShape(provider, token, flags.username ?? null);
  if (shape.use === 'none') throw new UsageError(`This is ${shape.what}.`, { hint: shape.hint });
  const credential = { kind: shape.kind, token, signIn: null };
  const caFile = flags.caFile ?? null;
  if (shape.use === 'api') {
    const companion = shape.companion === 'email' ? { username: await readEmail(session, flags) } : {};
    const options = { client: null, caFile, place: places[0] ?? null };
    const verified = await verifyCredential(
      context,
      provider,
      description,
      { ...credential, ...companion },
      options,
    );
    if (verified.identity.account.login !== null || !userlessKinds.has(verified.identity.account.kind)) {
      return verified;
    }
    const { kind } = verified.identity.account;
    const place = await prompter.ask(`Which ${kind} is this token for?`, '--namespace or --repo');
    return verifyCredential(context, provider, description, credential, { ...options, place });
  }
  session.reporter.note('It serves git alone, so it is tried with git, and API commands will not work.');
  const username = flags.username ?? (await prompter.ask('The user name of this token', '--username'));
  const repository =
    repositories[0] ?? (await prompter.ask('A repository that it is for (OWNER/NAME)', '--repo OWNER/NAME'));
  return verifyGitCredential(context, provider, description, { credential, username, repository, caFile });
}

/** Accounts that are places: the host does not tell which, so the person does. */
const userlessKinds: ReadonlySet<AccountKind> = new Set(['workspace', 'project', 'repository']);

async function readEmail({ prompter }: Session, { email }: CredentialFlags): Promise<string> {
  const address = email ?? (await prompter.ask('The e-mail address of your account', '--email'));
  if (/^[\x21-\x39\x3b-\x7e]+@[\x21-\x39\x3b-\x7e]+$/.test(address)) return address;
  throw new UsageError(`"${toPrintable(address, 60)}" is no e-mail address.`);
}
