import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Run, RunOptions, Sandbox } from './sandbox.ts';

/** The two ways to git's helper: the program that git finds by its name, and the command of `gitlink`. */
export const helpers = ['git-credential-gitlink', 'gitlink credential'] as const;
export type Helper = (typeof helpers)[number];

const bin = resolve(import.meta.dirname, '../../bin');

/**
 * Runs a program whose standard output may hold a secret. It is kept from what the sandbox searches at its end;
 * standard error and all files are searched as ever.
 */
export async function runForSecret(
  sandbox: Sandbox,
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), 'gitlink-secret-'));
  try {
    const file = join(folder, 'stdout');
    const redirect = ['-c', 'exec "$@" >"$0"', file, program, ...args];
    const run = await sandbox.runProgram('sh', redirect, options);
    const stdout = readFileSync(file, 'utf8');
    return { ...run, stdout, json: <T>() => JSON.parse(stdout) as T };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Asks git's helper as git does, with the lines of a request. */
export function askHelper(
  sandbox: Sandbox,
  helper: Helper,
  operation: string,
  request: string,
  options: RunOptions = {},
): Promise<Run> {
  const args =
    helper === 'gitlink credential'
      ? [join(bin, 'gitlink.js'), 'credential', operation]
      : [join(bin, 'git-credential-gitlink.js'), operation];
  return runForSecret(sandbox, process.execPath, args, { ...options, input: request });
}

/** The lines of a request for a URL, split as git does with `useHttpPath`. */
export function toRequest(url: string, ...more: readonly string[]): string {
  const [, protocol = '', userinfo, host = '', path] =
    /^(\w+):\/\/(?:([^/@]*)@)?([^/]*)(?:\/(.*))?$/.exec(url) ?? [];
  const lines = [
    `protocol=${protocol}`,
    `host=${host}`,
    ...(path ? [`path=${path}`] : []),
    ...(userinfo ? [`username=${userinfo}`] : []),
    ...more,
  ];
  return `${lines.join('\n')}\n\n`;
}

type StoredLink = Record<string, unknown>;

/** Changes the records of links behind gitlink's back, to states that are long in the making. */
export function changeLinks(
  sandbox: Sandbox,
  change: (links: readonly StoredLink[]) => readonly StoredLink[],
): void {
  const path = join(sandbox.configDirectory, 'links.json');
  const records = JSON.parse(readFileSync(path, 'utf8')) as { links: readonly StoredLink[] };
  writeFileSync(path, JSON.stringify({ ...records, links: change(records.links) }));
}

/** The stored records of links. */
export function readLinks(sandbox: Sandbox): readonly StoredLink[] {
  const text = readFileSync(join(sandbox.configDirectory, 'links.json'), 'utf8');
  return (JSON.parse(text) as { links: readonly StoredLink[] }).links;
}
