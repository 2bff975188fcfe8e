import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import type { Run, Sandbox } from './sandbox.ts';

const gitlink = resolve(import.meta.dirname, '../../bin/gitlink.js');

/** The key, as Tcl writes it. */
export const enter = '\\r';

/** Whether there is no `expect` to be the person at the terminal; says what is skipped then. */
export function isExpectMissing(what: string): boolean {
  const isMissing = spawnSync('expect', ['-v']).error !== undefined;
  if (isMissing) process.stderr.write(`Skipped for want of expect: ${what}\n`);
  return isMissing;
}

/**
 * Runs gitlink in a terminal.
 *
 * @param dialogue - What is waited for, and what is typed then; `$env(TOKEN)` stands for the token.
 */
export async function converse(
  sandbox: Sandbox,
  args: readonly string[],
  dialogue: readonly (readonly [question: string, answer: string])[],
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const script = [
    'set timeout 20',
    'set stty_init "rows 40 columns 200"',
    `spawn -noecho {${process.execPath}} {${gitlink}} ${args.map((word) => `{${word}}`).join(' ')}`,
    ...dialogue.flatMap(([question, answer]) => [
      `expect {\n-ex {${question}} {}\ntimeout { exit 99 }\neof { exit 98 }\n}`,
      `send -- "${answer}"`,
    ]),
    'expect {\neof {}\ntimeout { exit 97 }\n}',
    'catch wait result',
    'exit [lindex $result 3]',
  ].join('\n');
  const run = await sandbox.runProgram('expect', ['-c', script], { env: { TERM: 'xterm', ...env } });
  return { ...run, stdout: run.stdout.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '') };
}
