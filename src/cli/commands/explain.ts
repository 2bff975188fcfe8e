import type { Candidate } from '../../operations/choose-link.ts';
import { explainLink } from '../../operations/explain-link.ts';
import { createCommand, type Cli } from '../program.ts';
import { printTable, type Column } from '../table.ts';

const columns: readonly Column<Candidate>[] = [
  { header: 'LINK', cell: ({ link }) => link.name, least: 12 },
  { header: 'ACCOUNT', cell: ({ link }) => link.account.login ?? 'unknown', least: 8 },
  { header: 'FITS', cell: ({ fits }) => (fits ? 'yes' : 'no') },
  { header: 'WHY', cell: ({ reason }) => reason, least: 20 },
];

export function registerExplain(cli: Cli): void {
  createCommand(cli, 'explain', 'Which link git would get for an address, and why', [
    ['gitlink explain https://git.acme.dev/acme/api.git', 'the link, or why there is none'],
    ['gitlink setup-git --local --link work', 'to choose one for the repository around'],
  ])
    .argument('<url>', 'the address of a repository, as in: git clone URL')
    .action((address: string) =>
      cli.run('explain', ({ context, output, reporter, styles }) => {
        const { url, hasPassword, needsSetup, chosen, candidates, reason } = explainLink(context, address);
        if (hasPassword) reporter.warn('The address holds a password, which git uses instead of asking.');
        output.document({
          url,
          chosen: chosen?.name ?? null,
          candidates: candidates.map((each) => ({
            link: each.link.name,
            fits: each.fits,
            reason: each.reason,
          })),
          reason,
        });
        printTable(output, styles, columns, candidates);
        reporter.note(
          chosen === null ? `git would get none: ${reason}` : `git would get "${chosen.name}": ${reason}.`,
        );
        if (needsSetup) reporter.note('git does not ask gitlink for this host yet: gitlink setup-git');
        return Promise.resolve();
      }),
    );
}
