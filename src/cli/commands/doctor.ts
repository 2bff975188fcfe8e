import { exitCodes } from '../../errors.ts';
import type { Check } from '../../operations/doctor/check.ts';
import { mendAll, runDoctor } from '../../operations/doctor/run-doctor.ts';
import { toPrintable } from '../../printable.ts';
import { redact } from '../../redaction.ts';
import { chooseHelper } from '../git-setup.ts';
import { createCommand, type Cli } from '../program.ts';
import type { Session } from '../session.ts';
import { toTabbedLine, type Column } from '../table.ts';
import { wrapText } from '../wrap-text.ts';

interface DoctorFlags {
  readonly fix?: boolean;
}

/** A check as `--json` shows it. */
type CheckDocument = Omit<Check, 'mend'>;

const columns: readonly Column<CheckDocument>[] = [
  { header: 'CHECK', cell: ({ name }) => name },
  { header: 'STATE', cell: ({ state }) => state },
  { header: 'DETAIL', cell: ({ detail }) => detail },
  { header: 'FIX', cell: ({ fix }) => fix ?? '' },
];

export function registerDoctor(cli: Cli): void {
  createCommand(cli, 'doctor', 'Look for what is broken on this machine, with the line that mends it', [
    ['gitlink doctor', 'keychain, browser, network, git, leftovers; exit code 1 if something does not work'],
    ['gitlink doctor --fix', 'mends what can be mended without a risk, and says what it did'],
    ['gitlink doctor --json', 'the same for scripts'],
  ])
    .option('--fix', 'mend what is safe to mend')
    .action((flags: DoctorFlags) =>
      cli.run('doctor', async (session) => {
        const { context, output, reporter } = session;
        const found = await runDoctor(context, chooseHelper(session));
        const checks = (flags.fix === true ? await mendAll(context, found) : found).map(toDocument);
        reporter.clear();
        output.document({ checks });
        printChecks(session, checks);
        reporter.note(summarise(checks, found, flags.fix === true));
        return checks.some(({ state }) => state === 'error') ? exitCodes.internal : exitCodes.done;
      }),
    );
}

/** Details repeat what other programs say, and names that others chose. */
function toDocument({ name, state, detail, fix }: Check): CheckDocument {
  return { name, state, detail: redact(detail), fix: fix === null ? null : redact(fix) };
}

/** For people a line for each check, with what mends it below, whole, so that it can be copied. */
function printChecks({ output, styles }: Session, checks: readonly CheckDocument[]): void {
  if (!output.isTerminal) {
    for (const check of checks) output.data(toTabbedLine(columns, check));
    return;
  }
  const paint = { ok: styles.good, warning: styles.doubtful, error: styles.bad };
  const width = Math.max(...checks.map(({ name }) => name.length));
  for (const { name, state, detail, fix } of checks) {
    const head = `${state.padEnd(7)}  ${name.padEnd(width)}  `;
    const [first = '', ...others] = wrapText(toPrintable(detail), output.columns - head.length);
    output.data(`${paint[state](state.padEnd(7))}${head.slice(7)}${first}`);
    for (const line of others) output.data(`${' '.repeat(head.length)}${line}`);
    if (fix !== null) output.data(`${' '.repeat(9)}${styles.faint('mend:')} ${toPrintable(fix, Infinity)}`);
  }
}

function summarise(checks: readonly CheckDocument[], found: readonly Check[], isFixed: boolean): string {
  const errors = checks.filter(({ state }) => state === 'error').length;
  const warnings = checks.filter(({ state }) => state === 'warning').length;
  if (errors + warnings === 0) return 'All is well.';
  const mendable = isFixed ? 0 : found.filter(({ mend }) => mend !== undefined).length;
  const hint = mendable > 0 ? ` To mend ${mendable} of them: gitlink doctor --fix` : '';
  return `${errors} broken, ${warnings} to look at.${hint}`;
}
