import { toLinkDocument } from '../operations/link-document.ts';
import type { TextSink } from '../runtime.ts';
import { findDirectories } from '../runtime.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { currentFormat } from '../store/migrations.ts';
import { readPlainRecords } from '../store/plain-records.ts';
import { readLastUsage } from '../store/usage-log.ts';
import { linkColumns } from './link-view.ts';
import { createOutput } from './output.ts';
import { toTabbedLine } from './table.ts';

/**
 * Answers a plain `gitlink list` for a program, without the command line parser and the schemas, which take
 * longer than the answer. Whatever is out of the ordinary is left to the real command.
 *
 * @returns Whether the answer was printed.
 */
export function tryQuickList(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  stdout: TextSink,
): boolean {
  const isPlain = argv[0] === 'list' && (argv.length === 1 || (argv.length === 2 && argv[1] === '--json'));
  if (!isPlain || env['GITLINK_PROVIDER'] || stdout.isTTY) return false;
  try {
    const directories = findDirectories(env, process.platform);
    const records = readLinks(directories.config);
    if (records === null || records.length === 0) return false;
    // Their webhook is that of their app, which stands elsewhere in the records.
    if (argv.length === 2 && records.some(({ method }) => method === 'app')) return false;
    const usage = readLastUsage(directories.state);
    const now = Date.now();
    const links = records.map((link) => toLinkDocument(link, usage.get(link.id)?.at ?? null, now));
    // Collected first: an answer is printed whole or not at all.
    let text = '';
    const collector: TextSink = {
      ...stdout,
      isTTY: false,
      columns: undefined,
      write: (part) => void (text += String(part)),
    };
    const output = createOutput({
      stdout: collector,
      stderr: collector,
      isJson: argv.length === 2,
      isQuiet: false,
    });
    output.document({ links });
    for (const link of links) output.data(toTabbedLine(linkColumns, link));
    stdout.write(text);
    return true;
  } catch {
    // The real command finds out what is wrong, and says it.
    return false;
  }
}

/** @returns null for records that are not as gitlink writes them. */
function readLinks(configDirectory: string): readonly LinkRecord[] | null {
  const records = readPlainRecords(configDirectory, (bytes) =>
    new TextDecoder('utf-8', { fatal: true }).decode(bytes),
  );
  return records?.version === currentFormat.version && records.links.every(isPlainLink)
    ? records.links
    : null;
}

function isPlainLink(link: unknown): link is LinkRecord {
  const { name, host, flavour, account, restriction, createdAt } = link as Partial<LinkRecord>;
  return (
    [name, host, flavour, account?.kind].every((value) => typeof value === 'string') &&
    typeof createdAt === 'number' &&
    (restriction?.mode === 'unrestricted' ||
      (Array.isArray(restriction?.namespaces) && Array.isArray(restriction.repositories)))
  );
}
