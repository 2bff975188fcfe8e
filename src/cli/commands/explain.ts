import { UsageError } from '../../errors.ts';
import { readLinkSetting } from '../../git/link-setting.ts';
import { parseRepositoryUrl } from '../../git/repository-url.ts';
import { chooseLink, type Candidate } from '../../operations/choose-link.ts';
import { readRepositoryList } from '../../store/repository-list.ts';
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
    .action((url: string) =>
      cli.run('explain', ({ context, output, reporter, runtime, styles, directories }) => {
        const parsed = parseRepositoryUrl(url);
        if (parsed === null || parsed.protocol === 'ssh') {
          throw new UsageError(
            'gitlink answers git for addresses that begin with https://, and this is none.',
            {
              hint: 'Give the address as in: git clone https://git.acme.dev/acme/api.git',
            },
          );
        }
        const { protocol, host, port, path, username, hasPassword } = parsed;
        const place = { protocol, host: port === null ? host : `${host}:${port}`, path, username };
        const { chosen, candidates, reason } = chooseLink(place, {
          links: context.links.read().links,
          listRepositories: (link) => readRepositoryList(directories.state, link.id),
          readPreference: () => readLinkSetting(runtime),
        });
        if (hasPassword) reporter.warn('The address holds a password, which git uses instead of asking.');
        output.document({
          url: `${protocol}://${place.host}/${path}`,
          chosen: chosen?.name ?? null,
          candidates: candidates.map((each) => ({
            link: each.link.name,
            fits: each.fits,
            reason: each.reason,
          })),
          reason,
        });
        printTable(output, styles, columns, candidates);
        reporter.note(chosen === null ? `No link: ${reason}.` : `git would get "${chosen.name}": ${reason}.`);
        return Promise.resolve();
      }),
    );
}
