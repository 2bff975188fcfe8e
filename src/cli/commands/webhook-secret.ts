import { UnsupportedError } from '../../errors.ts';
import { requireProvider } from '../../operations/link-faults.ts';
import { readCurrentSecret, readPreviousSecret } from '../../operations/rotation-secret.ts';
import type { Secret } from '../../secret.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { recordUsage } from '../../store/usage-log.ts';
import { createCommand, type Cli } from '../program.ts';
import { printSecret } from '../secret-output.ts';

interface WebhookSecretFlags {
  readonly previous?: boolean;
  readonly signing?: boolean;
}

export function registerWebhookSecret(cli: Cli): void {
  createCommand(cli, 'webhook-secret', "Print the secret of a link's webhooks, for the receiver", [
    ['gitlink webhook-secret gitea', 'what deliveries are signed with'],
    ['gitlink webhook-secret gitlab --signing', "the same as GitLab's signing token"],
    ['gitlink webhook-secret gitea --previous', 'what they were signed with before an unfinished rotation'],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .option('--previous', 'the secret before the rotation that is under way')
    .option('--signing', 'in the form that the host signs deliveries with, where that is another (GitLab)')
    .action((name: string | undefined, flags: WebhookSecretFlags) =>
      cli.run('webhook-secret', async (session) => {
        const { context } = session;
        const link = await session.chooseLink(name);
        const stored =
          flags.previous === true
            ? await readPreviousSecret(context, link)
            : (await readCurrentSecret(context, link)).value;
        const secret = flags.signing === true ? toSigningSecret(link, stored) : stored;
        recordUsage(context.directories.state, {
          linkId: link.id,
          at: context.clock.now(),
          by: 'webhook-secret',
          path: null,
        });
        printSecret(session, secret, { secret: secret.reveal() });
      }),
    );
}

/** @throws UnsupportedError where the host signs with the secret as it is, or not at all. */
function toSigningSecret(link: LinkRecord, secret: Secret): Secret {
  const provider = requireProvider(link);
  const signing = provider.webhooks?.toSigningSecret?.(secret) ?? null;
  if (signing !== null) return signing;
  throw new UnsupportedError(
    `${provider.displayName} signs with the secret as it is, or this one cannot sign.`,
    {
      hint: `Without --signing: gitlink webhook-secret ${link.name}`,
    },
  );
}
