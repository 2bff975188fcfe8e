import { spawn } from 'node:child_process';
import { InternalError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { OperationContext } from './context.ts';

/** `new`: a receiver shall accept this secret beside the one it knows; `retire`: and from now on only this one. */
export type ReceiverPhase = 'new' | 'retire';

const deadlineMs = 5 * 60 * 1000;

/**
 * Runs the person's own command line, by the shell, with a webhook secret on its standard input and the phase
 * in `GITLINK_PHASE`. Its output goes to standard error, because standard output is data.
 *
 * @throws GitlinkError when it does not end with 0 within five minutes.
 */
export async function runReceiverCommand(
  context: OperationContext,
  commandLine: string,
  phase: ReceiverPhase,
  secret: Secret,
): Promise<void> {
  const ending = await new Promise<string | null>((resolve) => {
    const child = spawn(commandLine, {
      shell: true,
      stdio: ['pipe', 2, 2],
      env: { ...withoutSecrets(context.env), GITLINK_PHASE: phase },
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(deadlineMs)]),
    });
    child.on('error', (error) => resolve(error.name === 'AbortError' ? 'was stopped' : 'cannot be started'));
    child.on('close', (code, signal) => {
      resolve(code === 0 ? null : signal ? `was ended by ${signal}` : `ended with ${code ?? 'nothing'}`);
    });
    // A command that does not read its input is not a fault of ours.
    child.stdin?.on('error', () => {});
    child.stdin?.end(`${secret.reveal()}\n`);
  });
  context.signal.throwIfAborted();
  if (ending !== null) throw new ReceiverError(phase, ending);
}

/** The command of `--on-secret` failed. */
class ReceiverError extends InternalError {
  constructor(phase: ReceiverPhase, ending: string) {
    super(`The --on-secret command ${ending} (GITLINK_PHASE=${phase}).`, {
      hint:
        phase === 'new'
          ? 'This run sent nothing to the host. Mend the command and run this again.'
          : 'Every hook has the new secret already. Mend the command and run this again to finish.',
    });
  }
}

/**
 * What a program sees that gets a token: neither gitlink's secrets nor what makes a link of the environment, because
 * that would send the token of this link to the host of that one.
 */
export function withoutEnvironmentLink(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const names =
    /^GITLINK_(?:PROVIDER|HOST|ORGANIZATION|TENANT|TOKEN(?:_FILE)?|EMAIL|USERNAME|NAMESPACES|APP_.*|.*_CLIENT_.*)$/;
  return Object.fromEntries(Object.entries(withoutSecrets(env)).filter(([name]) => !names.test(name)));
}

/** What a child may see of the environment: gitlink's own secrets are not among it. */
function withoutSecrets(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const secretNames = /^GITLINK_(?:TOKEN|PASSPHRASE|APP_PRIVATE_KEY|.*_CLIENT_SECRET)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !secretNames.test(name)));
}
