import { exitCodes, UsageError } from '../../errors.ts';
import { hasFinding, type Finding, type Severity } from '../../operations/audit/finding.ts';
import { toPrintable } from '../../printable.ts';
import { redact } from '../../redaction.ts';
import { stringifyForTerminal } from '../json-text.ts';
import { createChoice, createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';
import { toTabbedLine, type Column } from '../table.ts';
import { wrapText } from '../wrap-text.ts';
import { writeCsv, writeMarkdown } from '../write-findings.ts';

type Format = 'table' | 'json' | 'csv' | 'markdown';

interface AuditFlags {
  readonly failOn?: Severity;
  readonly format?: Format;
  readonly org?: string;
}

const columns: readonly Column<Finding>[] = [
  { header: 'SEVERITY', cell: ({ severity }) => severity },
  { header: 'CODE', cell: ({ code }) => code },
  { header: 'LINK', cell: ({ link }) => link ?? '' },
  { header: 'SUBJECT', cell: ({ subject }) => subject },
  { header: 'EVIDENCE', cell: ({ evidence }) => evidence },
  { header: 'FIX', cell: ({ fix }) => fix },
];

export function registerAudit(cli: Cli): void {
  createCommand(cli, 'audit', 'What an admin should know of the links: powers, ends, dead webhooks', [
    ['gitlink audit', 'asks every host; each finding with its evidence and what settles it'],
    ['gitlink audit --fail-on warning', 'for scheduled runs: exit code 3 when there is a warning or worse'],
    ['gitlink audit --format markdown > audit.md', 'for a report; csv for a spreadsheet'],
    ['gitlink audit --org acme', "also what others connected to acme, with an owner's credential"],
  ])
    .addOption(
      createChoice('--fail-on <severity>', 'exit code 3 from this severity on', ['warning', 'error']),
    )
    .addOption(
      createChoice('--format <format>', 'how to print the findings (default table)', [
        'table',
        'json',
        'csv',
        'markdown',
      ]),
    )
    .option('--org <name>', 'an organization or group: list what others connected to it, too')
    .action((flags: AuditFlags) =>
      cli.run('audit', async (session) => {
        const { context, output, reporter } = session;
        if (output.isJson && flags.format !== undefined && flags.format !== 'json') {
          throw new UsageError(`--json and --format ${flags.format} contradict each other.`);
        }
        const { runAudit } = await import('../../operations/audit/run-audit.ts');
        const found = await runAudit(context, flags.org ?? null);
        const findings = found.map(clean);
        reporter.clear();
        print(session, flags.format ?? 'table', findings);
        reporter.note(summarise(findings));
        const isFailed = flags.failOn !== undefined && hasFinding(findings, flags.failOn);
        return isFailed ? exitCodes.partial : exitCodes.done;
      }),
    );
}

/** Evidence repeats what hosts say, and names that others chose. */
function clean(finding: Finding): Finding {
  return { ...finding, subject: redact(finding.subject), evidence: redact(finding.evidence) };
}

function print(session: Session, format: Format, findings: readonly Finding[]): void {
  const { output, runtime } = session;
  output.document({ findings });
  if (output.isJson) return;
  if (format === 'json') runtime.stdout.write(`${stringifyForTerminal({ schema: 1, findings })}\n`);
  else if (format === 'csv') runtime.stdout.write(writeCsv(findings));
  else if (format === 'markdown') runtime.stdout.write(writeMarkdown(findings));
  else if (!output.isTerminal) for (const finding of findings) output.data(toTabbedLine(columns, finding));
  else for (const finding of findings) printBlock(session, finding);
}

/** For people: what, where, why, and below it what settles it, whole, so that it can be copied. */
function printBlock(
  { output, styles }: Session,
  { severity, code, link, subject, evidence, fix }: Finding,
): void {
  const paint = { info: styles.faint, warning: styles.doubtful, error: styles.bad }[severity];
  const margin = ' '.repeat(9);
  const where = link === null || link === subject ? subject : `${link}: ${subject}`;
  const [first = '', ...others] = wrapText(
    toPrintable(`${where}: ${evidence}`),
    output.columns - margin.length,
  );
  output.data(`${paint(severity.padEnd(7))}  ${styles.strong(code)}`);
  for (const line of [first, ...others]) output.data(`${margin}${line}`);
  output.data(`${margin}${styles.faint('settle:')} ${toPrintable(fix, Infinity)}`);
}

function summarise(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'Nothing was found.';
  const count = (severity: Severity): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const warnings = count('warning');
  const errors = count('error');
  return `${errors} error${errors === 1 ? '' : 's'}, ${warnings} warning${warnings === 1 ? '' : 's'}, ${count('info')} to know.`;
}
