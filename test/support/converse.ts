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

/** Stands for an answer: the address that is on the screen is opened, by a program that follows redirects. */
export const visitShown = 'visit the address on the screen';
const visitor = `
const { get } = require('node:http');
const go = (url) => get(url, ({ headers }) => headers.location && go(new URL(headers.location, url)));
go(process.argv[1]);`;
const visitScript = `
regexp {(http://[^ ]*authorize[^ \\r\\n]*)} $seen url
exec {${process.execPath}} -e {${visitor}} $url`;

export interface Terminal {
  /** Default: enough for every address to stand on one line. */
  readonly columns?: number;
  /** How long each question is waited for. */
  readonly limitS?: number;
}

/**
 * Runs gitlink in a terminal.
 *
 * @param dialogue - What is waited for, and what is typed then; `$env(TOKEN)` stands for that variable.
 * @returns What the terminal showed, as `stdout`, and gitlink's exit code.
 */
export async function converse(
  sandbox: Sandbox,
  args: readonly string[],
  dialogue: readonly (readonly [question: string, answer: string])[],
  env: Readonly<Record<string, string | undefined>> = {},
  { columns = 200, limitS = 20 }: Terminal = {},
): Promise<Run> {
  const script = [
    `set timeout ${limitS}`,
    'set seen {}',
    `set stty_init "rows 40 columns ${columns}"`,
    `spawn -noecho {${process.execPath}} {${gitlink}} ${args.map((word) => `{${word}}`).join(' ')}`,
    ...dialogue.flatMap(([question, answer]) => [
      `expect {\n-ex {${question}} { append seen $expect_out(buffer) }\ntimeout { exit 99 }\neof { exit 98 }\n}`,
      answer === visitShown ? visitScript : `send -- "${answer}"`,
    ]),
    'expect {\neof {}\ntimeout { exit 97 }\n}',
    'catch wait result',
    'exit [lindex $result 3]',
  ].join('\n');
  const run = await sandbox.runProgram('expect', ['-c', script], { env: { TERM: 'xterm', ...env } });
  return { ...run, stdout: run.stdout.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '') };
}
