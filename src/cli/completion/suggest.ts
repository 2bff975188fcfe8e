import type { Argument, Command, Option } from 'commander';
import { providers } from '../../providers/registry.ts';
import { webhookEvents } from '../../providers/webhook-support.ts';
import { preferenceNames } from '../../store/settings.ts';

/** A word that may stand at the cursor. */
export interface Suggestion {
  readonly value: string;
  readonly about: string;
}

/** What may stand at the cursor: words of gitlink's, or what the shell knows itself. */
export interface Completion {
  readonly suggestions: readonly Suggestion[];
  readonly paths: 'files' | 'directories' | null;
}

/** What is known of the person's links. */
export interface KnownLink {
  readonly name: string;
  readonly about: string;
}

const nothing: Completion = { suggestions: [], paths: null };

/**
 * Finds what may stand at the cursor.
 *
 * @param program - With every command registered.
 * @param words - What stands after the program's name, as the shell has split it; the last one is at the cursor.
 * @param listLinks - Given the folder that the line names by `--config-dir`.
 */
export function suggest(
  program: Command,
  words: readonly string[],
  listLinks: (configDirectory: string | null) => readonly KnownLink[],
): Completion {
  const joined = joinSplitFlags(words);
  const current = unquote(joined.words.at(-1) ?? '');
  const line = readLine(program, joined.words.slice(0, -1));
  const known: Known = { listLinks: () => listLinks(line.configDirectory) };

  if (line.isOtherProgram) return { suggestions: [], paths: 'files' };
  if (line.awaiting) return matching(current, '', suggestValue(line.awaiting, known, current));
  const [, flag, value = ''] = /^(--[^=]+)=(.*)$/s.exec(current) ?? [];
  if (flag !== undefined) {
    const option = findOption(line, program, flag);
    if (!option) return nothing;
    // Where the shell has split the flag off, it replaces the value alone.
    return matching(value, joined.isSplit ? '' : `${flag}=`, suggestValue(option, known, value));
  }
  if (current.startsWith('-') && !line.isPastDashes) {
    return matching(current, '', { suggestions: listFlags(line, program), paths: null });
  }
  if (line.command === null)
    return matching(current, '', { suggestions: listCommands(program), paths: null });
  return matching(current, '', suggestPositional(line, known));
}

interface Known {
  readonly listLinks: () => readonly KnownLink[];
}

/** What the words before the cursor say. */
interface Line {
  readonly command: Command | null;
  /** Words that are neither the command nor flags nor their values. */
  readonly positionals: readonly string[];
  /** The flag whose value stands at the cursor. */
  readonly awaiting: Option | null;
  readonly configDirectory: string | null;
  readonly isPastDashes: boolean;
  /** Whether the cursor is in the command line of another program. */
  readonly isOtherProgram: boolean;
}

function readLine(program: Command, words: readonly string[]): Line {
  let command: Command | null = null;
  let awaiting: Option | null = null;
  let configDirectory: string | null = null;
  let isPastDashes = false;
  const positionals: string[] = [];
  for (const word of words.map(unquote)) {
    if (awaiting !== null && (awaiting.required || !word.startsWith('-'))) {
      if (awaiting.long === '--config-dir') configDirectory = word;
      awaiting = null;
      continue;
    }
    awaiting = null;
    if (!isPastDashes && word === '--') {
      isPastDashes = true;
    } else if (!isPastDashes && word.startsWith('-') && word !== '-') {
      const [name = '', value] = splitOnce(word);
      const option = findOption({ command }, program, name);
      if (option && (option.required || option.optional) && value === undefined) awaiting = option;
      if (option?.long === '--config-dir' && value !== undefined) configDirectory = value;
    } else if (command === null) {
      command = program.commands.find((each) => each.name() === word) ?? null;
      // A word that is no command: nothing can be said of what follows.
      if (command === null) return { ...unknownLine, configDirectory };
    } else {
      positionals.push(word);
    }
  }
  const isOtherProgram = isPastDashes && command?.name() === 'exec';
  return { command, positionals, awaiting, configDirectory, isPastDashes, isOtherProgram };
}

const unknownLine: Line = {
  command: null,
  positionals: [],
  awaiting: null,
  configDirectory: null,
  isPastDashes: true,
  isOtherProgram: true,
};

function findOption({ command }: Pick<Line, 'command'>, program: Command, name: string): Option | null {
  const options = [...(command?.options ?? []), ...program.options];
  return options.find(({ long, short }) => long === name || short === name) ?? null;
}

function listCommands(program: Command): Suggestion[] {
  return program.commands.map((command) => ({ value: command.name(), about: command.description() }));
}

function listFlags({ command }: Line, program: Command): Suggestion[] {
  const options = [...(command?.options ?? []), ...program.options].filter(({ hidden }) => !hidden);
  return [
    ...options.map(({ long, short, description }) => ({ value: long ?? short ?? '', about: description })),
    { value: '--help', about: 'show the help' },
  ];
}

function suggestPositional({ command, positionals }: Line, known: Known): Completion {
  const slots = command?.registeredArguments ?? [];
  const last = slots.at(-1);
  const slot: Argument | undefined = slots[positionals.length] ?? (last?.variadic ? last : undefined);
  if (!command || !slot) return nothing;
  if (slot.argChoices) return toWords(slot.argChoices);
  const [first = ''] = positionals;
  switch (`${command.name()} ${slot.name()}`) {
    case 'link provider|url':
      return { suggestions: listProviders(), paths: null };
    case 'client action':
      return toWords(['add', 'create', 'list', 'remove']);
    case 'client provider|client':
      return { suggestions: first === 'add' || first === 'create' ? listProviders() : [], paths: null };
    case 'config action':
      return toWords(['list', 'get', 'set', 'unset']);
    case 'config name':
      return first === 'list' ? nothing : toWords(preferenceNames);
    case 'credential operation':
      return toWords(['get', 'store', 'erase']);
  }
  return slot.name() === 'link' ? { suggestions: listLinkNames(known), paths: null } : nothing;
}

/** @param typed - What stands there already: of a list with commas only the last word is completed. */
function suggestValue(option: Option, known: Known, typed: string): Completion {
  if (option.argChoices) return toWords(option.argChoices);
  const name = option.long ?? '';
  if (/<file>$/.test(option.flags)) return { suggestions: [], paths: 'files' };
  if (/<dir>$/.test(option.flags)) return { suggestions: [], paths: 'directories' };
  if (name === '--provider') return { suggestions: listProviders(), paths: null };
  if (name === '--link' || name === '--via' || name === '--resume') {
    return { suggestions: listLinkNames(known), paths: null };
  }
  const words = listWords[name];
  const before = typed.slice(0, typed.lastIndexOf(',') + 1);
  return words ? toWords(words.map((word) => `${before}${word}`)) : nothing;
}

/** What flags take that are lists with commas. */
const listWords: Readonly<Record<string, readonly string[]>> = {
  '--events': webhookEvents,
  '--for': ['clone', 'push', 'webhooks', 'namespace-webhooks', 'admin'],
};

function listProviders(): Suggestion[] {
  return providers.flatMap(({ id, displayName, aliases }) => [
    { value: id, about: displayName },
    ...aliases.map(({ word, host }) => ({ value: word, about: host ?? displayName })),
  ]);
}

function listLinkNames({ listLinks }: Known): Suggestion[] {
  return listLinks().map(({ name, about }) => ({ value: name, about }));
}

function toWords(words: readonly string[]): Completion {
  return { suggestions: words.map((value) => ({ value, about: '' })), paths: null };
}

function matching(typed: string, stem: string, { suggestions, paths }: Completion): Completion {
  const seen = new Set<string>();
  const fitting = suggestions.filter(({ value }) => {
    if (!value.startsWith(typed) || seen.has(value)) return false;
    seen.add(value);
    return true;
  });
  return { suggestions: fitting.map((each) => ({ ...each, value: `${stem}${each.value}` })), paths };
}

/** bash makes three words of `--flag=value`, and replaces the last one alone. */
function joinSplitFlags(words: readonly string[]): {
  readonly words: readonly string[];
  /** Whether that was so at the cursor. */
  readonly isSplit: boolean;
} {
  const joined: string[] = [];
  let isSplit = false;
  words.forEach((word, index) => {
    const before = joined.at(-1) ?? '';
    const isSign = word === '=' && /^--[^=]+$/.test(before);
    const isValue = words[index - 1] === '=' && /^--[^=]+=$/.test(before);
    isSplit = isSign || isValue;
    if (isSplit) joined[joined.length - 1] = `${before}${word}`;
    else joined.push(word);
  });
  return { words: joined, isSplit };
}

/** A shell hands over an open quote with the word. None of gitlink's own words needs one. */
function unquote(word: string): string {
  return word.replace(/^["']/, '').replace(/["']$/, '');
}

function splitOnce(word: string): [string, string?] {
  const sign = word.indexOf('=');
  return sign === -1 ? [word] : [word.slice(0, sign), word.slice(sign + 1)];
}
