import { handOutWebhookSecret } from '../../operations/hand-out-webhook-secret.ts';
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
    .option('--previous', 'the secret of webhooks that a rotation has not reached')
    .option('--signing', 'in the form that the host signs deliveries with, where that is another (GitLab)')
    .action((name: string | undefined, flags: WebhookSecretFlags) =>
      cli.run('webhook-secret', async (session) => {
        const secret = await handOutWebhookSecret(session.context, await session.chooseLink(name), {
          isPrevious: flags.previous === true,
          isForSigning: flags.signing === true,
        });
        printSecret(session, secret, { secret: secret.reveal() });
      }),
    );
}
