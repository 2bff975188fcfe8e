import { readCurrentSecret, readPreviousSecret } from '../../operations/rotation-secret.ts';
import { recordUsage } from '../../store/usage-log.ts';
import { createCommand, type Cli } from '../program.ts';
import { printSecret } from '../secret-output.ts';

export function registerWebhookSecret(cli: Cli): void {
  createCommand(cli, 'webhook-secret', "Print the secret of a link's webhooks, for the receiver", [
    ['gitlink webhook-secret gitea', 'what deliveries are signed with'],
    ['gitlink webhook-secret gitea --previous', 'what they were signed with before an unfinished rotation'],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .option('--previous', 'the secret before the rotation that is under way')
    .action((name: string | undefined, flags: { readonly previous?: boolean }) =>
      cli.run('webhook-secret', async (session) => {
        const { context } = session;
        const link = await session.chooseLink(name);
        const secret =
          flags.previous === true
            ? await readPreviousSecret(context, link)
            : (await readCurrentSecret(context, link)).value;
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
