import { tmpdir } from 'node:os';
import { AuthError, ForbiddenError, NotFoundError, UnreachableError } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import { redact } from '../redaction.ts';
import type { Secret } from '../secret.ts';
import { runGit, type GitContext } from './run-git.ts';

/** What a credential that serves git alone is tried on. */
export interface RemoteQuestion {
  /** The address of a repository, without a user name. */
  readonly url: string;
  readonly username: string;
  readonly password: Secret;
  /** A PEM file of authorities to trust. */
  readonly caFile: string | null;
}

/** Answers git from its own environment, which the user alone can read; arguments are seen by everybody. */
const helper =
  '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$GITLINK_USERNAME" "$GITLINK_PASSWORD"; }; f';
const deadlineMs = 30_000;

/**
 * Asks a repository for its branches with a credential: the only question that one for git alone may ask.
 *
 * @throws AuthError when the host refuses it, ForbiddenError when it may not, NotFoundError when it does not see the repository, UnreachableError
 * for everything else that git cannot do.
 */
export async function assertReadable(question: RemoteQuestion, context: GitContext): Promise<void> {
  const { url, username, password, caFile } = question;
  const { origin } = new URL(url);
  const settings = [
    // Other helpers neither answer nor learn it.
    'credential.helper=',
    // For this host alone: settings of the person may send git elsewhere.
    `credential.${origin}.helper=`,
    `credential.${origin}.helper=${helper}`,
    'http.followRedirects=false',
    ...(caFile === null ? [] : [`http.sslCAInfo=${caFile}`]),
  ];
  const args = [...settings.flatMap((setting) => ['-c', setting]), 'ls-remote', '--quiet', '--', url, 'HEAD'];
  const { exitCode, stderr } = await runGit(args, context, {
    deadlineMs,
    // The repository around has no say in where the credential goes.
    cwd: tmpdir(),
    secretEnv: {
      GITLINK_USERNAME: username,
      GITLINK_PASSWORD: password.reveal(),
      LC_ALL: 'C',
      GIT_DIR: undefined,
      GIT_WORK_TREE: undefined,
      GIT_CEILING_DIRECTORIES: tmpdir(),
    },
  });
  if (exitCode === 0) return;
  if (/error: 403/.test(stderr)) {
    throw new ForbiddenError(`${origin} does not let this token read ${new URL(url).pathname.slice(1)}.`);
  }
  if (/Authentication failed|Access denied|error: 401/i.test(stderr)) {
    throw new AuthError(`${origin} does not accept this token for ${new URL(url).pathname.slice(1)}.`, {
      hint: 'Is the user name exactly that of the token, and the repository one that it is for?',
    });
  }
  if (/not found|does not exist|error: 404/i.test(stderr)) {
    throw new NotFoundError(`There is no repository at ${url}, or this token does not see it.`);
  }
  const reason =
    stderr.split('\n').find((line) => /^(?:fatal|error): /.test(line)) ?? `it ended with ${exitCode}`;
  throw new UnreachableError(`git could not ask ${origin}: ${toPrintable(redact(reason), 200)}`);
}
