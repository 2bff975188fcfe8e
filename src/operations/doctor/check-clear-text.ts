import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { redact } from '../../redaction.ts';
import { quoteWord } from '../quote-word.ts';
import { count, sound, type Check, type Doctor } from './check.ts';

/** Files in which git and its friends keep credentials in clear text. */
const clearTextFiles = [
  '.git-credentials',
  '.config/git/credentials',
  '.netrc',
  '.gitconfig',
  '.config/git/config',
  '.config/gh/hosts.yml',
  '.config/glab-cli/config.yml',
] as const;

/** Credentials that lie about in clear text, by line; they are never shown. */
export async function checkClearText({ context }: Doctor): Promise<readonly Check[]> {
  const name = 'clear-text';
  const home = context.env['HOME'] || homedir();
  const checks = await Promise.all(
    clearTextFiles.map(async (file): Promise<Check[]> => {
      const path = join(home, file);
      const text = await readFile(path, 'utf8').catch(() => '');
      const lines = text.split('\n').flatMap((line, index) => (holdsSecret(line) ? [index + 1] : []));
      if (lines.length === 0 || text.length > 1_000_000) return [];
      const where = `line${lines.length === 1 ? '' : 's'} ${lines.slice(0, 5).join(', ')}${lines.length > 5 ? ' …' : ''}`;
      const detail = `${path} holds ${count(lines.length, 'credential')} in clear text (${where})`;
      const fix = `sed -i ${quoteWord(lines.map((line) => `${line}d`).join(';'))} ${quoteWord(path)}`;
      return [{ name, state: 'warning', detail, fix }];
    }),
  );
  const found = checks.flat();
  return found.length > 0 ? found : [sound(name, 'no credential in the files of git, gh and glab')];
}

function holdsSecret(line: string): boolean {
  if (/^\s*#/.test(line)) return false;
  return redact(line) !== line || /\bpassword\s+\S{4,}/.test(line);
}
