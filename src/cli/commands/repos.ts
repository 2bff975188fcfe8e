import { exitCodes, GitlinkError, NotFoundError, UsageError } from '../../errors.ts';
import type { Repository } from '../../providers/provider.ts';
import { listAllowedRepositories, UnknownNamespaceError } from '../../operations/list-repositories.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';
import { printTable, toTabbedLine, type Column } from '../table.ts';

interface ReposFlags {
  readonly namespace?: string;
  readonly search?: string;
  readonly all?: boolean;
}

type Row = Repository & { readonly link: string };

const columns: readonly Column<Row>[] = [
  { header: 'REPOSITORY', cell: ({ fullName }) => fullName, least: 20 },
  { header: 'VISIBILITY', cell: (row) => (row.private ? 'private' : 'public') },
  { header: 'STATE', cell: (row) => (row.archived ? 'archived' : 'active') },
  { header: 'WEBHOOKS', cell: (row) => (row.canManageWebhooks ? 'yes' : 'no') },
  { header: 'LINK', cell: ({ link }) => link, least: 8 },
];

export function registerRepos(cli: Cli): void {
  createCommand(cli, 'repos', 'The repositories that may be used through a link', [
    ['gitlink repos gitea', 'all that the link may use, its restriction applied'],
    ['gitlink repos gitea --namespace acme --search site', 'some of them'],
    ['gitlink repos --all --json', 'those of every link, for scripts'],
  ])
    .argument('[link]', 'the link; not needed when there is only one')
    .option('--namespace <namespace>', 'only those in one namespace')
    .option('--search <text>', 'only those whose name contains the text')
    .option('--all', 'of every link')
    .action((name: string | undefined, flags: ReposFlags) =>
      cli.run('repos', (session) => run(session, name, flags)),
    );
}

async function run(session: Session, name: string | undefined, flags: ReposFlags): Promise<number> {
  const { context, output, reporter, styles } = session;
  const links = await chooseLinks(session, name, flags);
  const filter = { namespace: flags.namespace ?? null, search: flags.search ?? null };
  // A program that reads lines gets each as soon as it is known; a table needs all to be laid out.
  const isStreaming = !output.isTerminal && !output.isJson;
  const rows: Row[] = [];
  let count = 0;
  let failures = 0;
  let strangers = 0;
  for (const link of links) {
    try {
      for await (const repository of listAllowedRepositories(context, link, filter)) {
        const row = { ...repository, link: link.name };
        count += 1;
        if (isStreaming) {
          // What reads the rows may print to the same terminal, where a status line would stand before them.
          reporter.clear();
          output.data(toTabbedLine(columns, row));
        } else {
          rows.push(row);
          reporter.status(`Listing repositories… ${count}`);
        }
      }
    } catch (error) {
      // Of several links one that fails does not hide the others.
      if (flags.all !== true || !(error instanceof GitlinkError) || error.code === 'cancelled') throw error;
      if (error instanceof UnknownNamespaceError) {
        strangers += 1;
        continue;
      }
      failures += 1;
      reporter.warn(`"${link.name}" cannot be listed: ${error.message}`);
    }
  }
  reporter.clear();
  if (strangers > 0 && strangers === links.length) {
    throw new NotFoundError(`No link reaches a namespace ${filter.namespace ?? ''}.`, {
      hint: 'What the links reach: gitlink repos --all',
    });
  }
  output.document({ repositories: rows.map(toDocument) });
  if (!isStreaming) printTable(output, styles, columns, rows);
  if (count === 0) reporter.note('There are no such repositories.');
  return failures > 0 ? exitCodes.partial : exitCodes.done;
}

async function chooseLinks(
  session: Session,
  name: string | undefined,
  { all }: ReposFlags,
): Promise<readonly LinkRecord[]> {
  if (all !== true) return [await session.chooseLink(name)];
  if (name === undefined) return session.context.links.read().links;
  throw new UsageError('A link and --all contradict each other.', {
    hint: `Either: gitlink repos ${name}, or: gitlink repos --all`,
  });
}

/** A closed list: nothing reaches the output that is not named here. */
function toDocument(row: Row): Row {
  const { id, fullName, namespace, cloneUrl, webUrl, defaultBranch, archived, canManageWebhooks, link } = row;
  return {
    id,
    fullName,
    namespace,
    cloneUrl,
    webUrl,
    defaultBranch,
    private: row.private,
    archived,
    canManageWebhooks,
    link,
  };
}
