import { handOut } from '../../operations/hand-out.ts';
import { collectList, createCommand, type Cli } from '../program.ts';
import { printSecret, warnOfReach } from '../secret-output.ts';

export interface TokenFlags {
  readonly repo?: string;
  readonly permission?: readonly string[];
}

export function registerToken(cli: Cli): void {
  createCommand(cli, 'token', 'Print an access token for a script', [
    ['gitlink token gitlab', 'fresh: a sign-in is renewed before it ends'],
    [
      'gitlink token github --repo acme/api --permission contents:read',
      'a GitHub App makes it as narrow as that',
    ],
    ['gitlink token gitlab --repo acme/api', 'a restricted link needs to know what it is for'],
    ['gitlink exec gitlab -- glab repo list', 'better: the token is seen by that program alone'],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .option('--repo <owner/name>', 'what the token is for')
    .option(
      '--permission <name>',
      'what it shall be able to do, where the host makes tokens as narrow: contents:read (repeatable)',
      collectList,
    )
    .action((name: string | undefined, flags: TokenFlags) =>
      cli.run('token', async (session) => {
        const link = await session.chooseLink(name);
        const wish = { repository: flags.repo ?? null, permissions: flags.permission ?? null };
        const handed = await handOut(session.context, link, wish, 'token');
        if (handed.reachesFurther) warnOfReach(session, link);
        const expiresAt = handed.expiresAt === null ? null : new Date(handed.expiresAt).toISOString();
        const isKnownToCi = link.storage === 'env' && handed.end === null;
        printSecret(session, handed.token, { token: handed.token.reveal(), expiresAt }, isKnownToCi);
      }),
    );
}
