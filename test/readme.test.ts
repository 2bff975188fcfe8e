import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../src/errors.ts';

const project = resolve(import.meta.dirname, '..');
const path = join(project, 'README.md');
const commandsPart =
  /(?<=<!-- commands: written by test\/readme\.test\.ts -->\n).*?(?=<!-- end of commands -->)/s;

/** What the executable prints, in 80 columns and without colours: there is no terminal. */
function readHelp(args: readonly string[]): string {
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', NO_COLOR: '1' };
  const script = join(project, 'bin/gitlink.js');
  return execFileSync(process.execPath, [script, ...args, '--help'], { env, encoding: 'utf8' });
}

function writeCommands(): string {
  const help = readHelp([]);
  const [, table = ''] = help.split('\nCommands:\n');
  const names = [...table.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name = '']) => name);
  if (names.length === 0) throw new Error('The help names no commands.');
  const sections = [['gitlink', help], ...names.map((name) => [`gitlink ${name}`, readHelp([name])])];
  return `\n${sections.map(([title = '', text = '']) => `### ${title}\n\n\`\`\`text\n${text.trim()}\n\`\`\`\n`).join('\n')}\n`;
}

describe('README', () => {
  test('the command reference is what the commands say; UPDATE_README=1 writes it', () => {
    const commands = writeCommands();
    if (process.env['UPDATE_README']) {
      writeFileSync(
        path,
        readFileSync(path, 'utf8').replace(commandsPart, () => commands),
      );
    }
    expect(commandsPart.exec(readFileSync(path, 'utf8'))?.[0]).toBe(commands);
  });

  const written = readFileSync(path, 'utf8').replace(commandsPart, '');

  test('the table of exit codes has all that there are', () => {
    const table = [...written.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, codes = '']) => codes.split(', '));
    expect(table.map(Number)).toEqual([...new Set(Object.values(exitCodes))].sort((a, b) => a - b));
  });

  test('files, folders and npm scripts that it names are there', () => {
    const named = [...written.matchAll(/`((?:src|test|bin|dist|\.ci)\/[\w./-]*)`/g)].map(
      ([, name = '']) => name,
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !existsSync(join(project, name)))).toEqual([]);

    const { scripts } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
      scripts: Readonly<Record<string, string>>;
    };
    const called = [...written.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(called.filter((name) => !(name in scripts))).toEqual([]);
  });
});
