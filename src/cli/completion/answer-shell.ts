import type { Command } from 'commander';
import type { Runtime } from '../../runtime.ts';
import { listKnownLinks } from './known-links.ts';
import { suggest } from './suggest.ts';

/**
 * Answers a completion script.
 *
 * @param program - With every command registered.
 * @param words - The index of the word at the cursor, then the words of the line; see `completionWord`.
 */
export function answerShell(
  program: Command,
  [index = '', ...words]: readonly string[],
  { env, platform, stdout }: Runtime,
): void {
  const cursor = /^\d{1,4}$/.test(index) ? Number(index) : words.length;
  const upToCursor = [...words, ''].slice(0, cursor + 1);
  const { suggestions, paths } = suggest(program, upToCursor, (configDirectory) =>
    listKnownLinks(env, platform, configDirectory),
  );
  for (const { value, about } of suggestions) stdout.write(`${value}\t${about}\n`);
  if (paths !== null) stdout.write(`:${paths}\n`);
}
