import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import type { LinkRecord, Records } from '../../src/store/link-schema.ts';
import type { Run, RunOptions, Sandbox } from '../support/sandbox.ts';

export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'error';
  readonly detail: string;
  readonly fix: string | null;
}

/** Runs `doctor`: its checks, and that its exit code says whether one of them is an error. */
export async function examine(
  sandbox: Sandbox,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<readonly Check[]> {
  const run = await sandbox.run(['doctor', '--json', ...args], options);
  const { checks } = run.json<{ readonly checks: readonly Check[] }>();
  expect(checks, run.stdout).toBeDefined();
  expect(run.exitCode, run.stdout).toBe(checks.some(({ state }) => state === 'error') ? 1 : 0);
  return checks;
}

/** What is not as it should be. */
export async function findFaults(
  sandbox: Sandbox,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<readonly Check[]> {
  return (await examine(sandbox, args, options)).filter(({ state }) => state !== 'ok');
}

/** Runs the line that a check names as a person would who pastes it into a shell. */
export function runLine(sandbox: Sandbox, line: string, options: RunOptions = {}): Promise<Run> {
  const gitlink = resolve(import.meta.dirname, '../../bin/gitlink.js');
  writeFileSync(
    join(sandbox.home, 'bin/gitlink'),
    `#!/bin/sh\nexec '${process.execPath}' '${gitlink}' "$@"\n`,
    { mode: 0o755 },
  );
  return sandbox.runProgram('bash', ['--norc', '--noprofile', '-c', line], options);
}

/** Changes the records as a crash, or somebody's hand, could have left them. */
export function changeRecords({ configDirectory }: Sandbox, change: (records: Records) => Records): Records {
  const path = join(configDirectory, 'links.json');
  const records = change(JSON.parse(readFileSync(path, 'utf8')) as Records);
  writeFileSync(path, JSON.stringify(records), { mode: 0o600 });
  return records;
}

/** Changes the only link, or every one. */
export function changeLinks(sandbox: Sandbox, change: (link: LinkRecord) => Partial<LinkRecord>): void {
  changeRecords(sandbox, (records) => ({
    ...records,
    links: records.links.map((link) => ({ ...link, ...change(link) })),
  }));
}

/** The records as they lie on the disk. */
export function readRecords({ configDirectory }: Sandbox): Records {
  return JSON.parse(readFileSync(join(configDirectory, 'links.json'), 'utf8')) as Records;
}
