import { exitCodes } from '../../errors.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import { describeLinks } from '../../operations/describe-links.ts';
import { assertStored, requireProvider } from '../../operations/link-faults.ts';
import { relink } from '../../operations/relink.ts';
import { findCredentialPage } from '../../operations/revoke-credential.ts';
import type { LinkRecord, Restriction } from '../../store/link-schema.ts';
import { addCredentialFlags, chooseExpiry, readExpiry, type CredentialFlags } from '../credential-flags.ts';
import { createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';
import { recogniseWithConsent } from '../recognise-with-consent.ts';
import { signIn } from '../sign-in.ts';

interface RelinkFlags extends CredentialFlags {
  readonly allowAccountChange?: boolean;
  readonly revokeOld?: boolean;
}

export function registerRelink(cli: Cli): void {
  const command = createCommand(cli, 'relink', 'Give a link a new credential', [
    ['gitlink relink gitea', 'signs in again, or asks for a new token; name, restriction and webhooks stay'],
    ['gitlink relink gitea --with-token --revoke-old < token.txt', 'and ends the old one'],
    ['gitlink relink gitea --host git.new.dev', 'the server has moved'],
  ]).argument('[link]', 'the link; not needed when there is only one');
  addCredentialFlags(command)
    .option('--allow-account-change', 'accept a credential of another account')
    .option('--revoke-old', 'end the old credential at the host, also one that you made yourself')
    .option('--no-revoke-old', 'leave the old credential alive')
    .action((name: string | undefined, flags: RelinkFlags) =>
      cli.run('relink', (session) => run(session, name, flags), { passphraseFile: flags.passphraseFile }),
    );
}

async function run(session: Session, name: string | undefined, flags: RelinkFlags): Promise<number> {
  return relinkWith(session, await session.chooseLink(name), flags);
}

/** Gives a link a token that the person pastes. */
export function relinkByToken(session: Session, link: LinkRecord): Promise<number> {
  return relinkWith(session, link, { method: 'token' });
}

async function relinkWith(session: Session, link: LinkRecord, flags: RelinkFlags): Promise<number> {
  const { context, output, reporter } = session;
  assertStored(link);
  const expiresAt = readExpiry(flags.expires, context.clock.now());
  await (await context.openVault(link.storage)).check();
  const caFile = flags.caFile ?? link.caFile;
  const allowHttp = flags.allowHttp === true || link.allowHttp;
  const question = {
    address: flags.host ?? link.host,
    provider: requireProvider(link),
    organization: flags.organization ?? link.organization,
    caFile,
    allowHttp,
  };
  const recognised = await recogniseWithConsent(session, question, flags.host === undefined);
  const wish = {
    flags: { ...flags, ...(caFile === null ? {} : { caFile }) },
    storage: link.storage,
    commandLine: `gitlink relink ${link.name}`,
    repositories: link.restriction.mode === 'restricted' ? namesOf(link.restriction) : [],
    namespaces: link.account.kind === 'user' || link.account.login === null ? [] : [link.account.login],
    usualMethod: link.method,
    usualClient: link.client,
    webhookUrl: null,
  };
  // What gitlink obtained it ends; what a person made is theirs.
  const revokeOld = flags.revokeOld ?? link.credentialOrigin === 'obtained';
  const { link: changed, oldCredential } = await signIn(session, recognised, wish, async (signedIn) =>
    relink(context, link, {
      ...signedIn,
      allowAccountChange: flags.allowAccountChange === true,
      revokeOld,
      expiresAt: await chooseExpiry(session, signedIn.verified.identity, expiresAt),
      caFile,
      allowHttp,
      passphraseFile: flags.passphraseFile ?? null,
    }),
  );
  reporter.note(
    `"${changed.name}" has a new credential of ${changed.account.login ?? 'an unknown account'} at ${toDisplayHost(changed.host)}.`,
  );
  if (oldCredential?.outcome === 'revoked') reporter.note('The old one was revoked.');
  if (oldCredential?.outcome === 'alreadyDead') reporter.note('The old one was dead already.');
  if (oldCredential?.outcome === 'impossible') {
    reporter.warn(`The old one still works: ${oldCredential.reason}. Delete it at ${oldCredential.pageUrl}`);
  }
  if (oldCredential?.outcome === 'failed') {
    reporter.warn(
      `The old one may still work, because it could not be revoked: ${oldCredential.reason} Delete it at ${oldCredential.pageUrl}`,
    );
  }
  if (!revokeOld) {
    const page = findCredentialPage(recognised.provider, link);
    reporter.note(`The old one was left alone; if it is not needed, delete it at ${page}`);
  }
  output.document({ link: describeLinks(context, [changed])[0] });
  return oldCredential?.outcome === 'failed' ? exitCodes.partial : exitCodes.done;
}

function namesOf({ repositories }: Extract<Restriction, { mode: 'restricted' }>): readonly string[] {
  return repositories.map(({ fullName }) => fullName);
}
