import { createHash } from 'node:crypto';
import { createKeychainError } from './keychain.ts';

/** A keychain as the platform offers it: single items, each written as a whole. */
export interface ItemStore {
  /** Returns `null` if there is no such item. */
  read(item: string): Promise<string | null>;
  write(item: string, value: string): Promise<void>;
  /** An absent item is success. */
  remove(item: string): Promise<void>;
}

type Generation = 'a' | 'b';

interface Head {
  readonly generation: Generation;
  readonly count: number;
  readonly digest: string;
}

const marker = 'gitlink-chunks/';
const headPattern = /^gitlink-chunks\/1 ([ab]) ([1-9]\d{0,3}) ([\w-]{43})$/;
const generations: readonly Generation[] = ['a', 'b'];
/** A reader that meets this many writers in a row is looking at damage. */
const readTries = 5;

/**
 * Lets items be longer than the platform allows. A long value is split over the items `<item>#a0`, `<item>#a1` …; the
 * item itself then holds a head that names the generation (`a` or `b`), the number of chunks and the value's digest.
 *
 * A write fills the generation that is not in use, then switches the head, then removes the old generation, so that
 * it can be killed anywhere. Readers need no lock: a reader whose chunks do not give the digest reads the head
 * again. Writers of the same item need one, which `store/` gives them.
 *
 * Chunks are written upwards and removed downwards, so that those of a generation are always contiguous from 0 and
 * what a killed write left is found again without listing the keychain.
 *
 * @param items - The platform's items.
 * @param lengthLimit - The most UTF-16 characters of one item; `null`: no limit, and the items are returned as they are.
 */
export function createChunkedItems(items: ItemStore, lengthLimit: number | null): ItemStore {
  if (lengthLimit === null) return items;
  const chunkLength = lengthLimit;
  return { read, write, remove };

  async function read(item: string): Promise<string | null> {
    for (let attempt = 0; attempt < readTries; attempt++) {
      const text = await items.read(item);
      if (text === null || !text.startsWith(marker)) return text;
      const value = await readChunks(item, parseHead(item, text));
      if (value !== undefined) return value;
    }
    throw createKeychainError('damaged', `The keychain's item ${item} is incomplete.`);
  }

  async function write(item: string, value: string): Promise<void> {
    if (value.length <= chunkLength && !value.startsWith(marker)) {
      await items.write(item, value);
      for (const generation of generations) await removeChunks(item, generation, 0);
      return;
    }
    const current = await items.read(item);
    const isFirstInUse = current !== null && headPattern.exec(current)?.[1] === 'a';
    const [next, previous] = isFirstInUse ? (['b', 'a'] as const) : (['a', 'b'] as const);
    const chunks = splitText(value, chunkLength);
    for (const [index, chunk] of chunks.entries()) await items.write(toChunkName(item, next, index), chunk);
    await removeChunks(item, next, chunks.length);
    await items.write(item, `${marker}1 ${next} ${chunks.length} ${digest(value)}`);
    await removeChunks(item, previous, 0);
  }

  async function remove(item: string): Promise<void> {
    await items.remove(item);
    for (const generation of generations) await removeChunks(item, generation, 0);
  }

  /** Returns `undefined` if the chunks are not those of the head: a writer was faster. */
  async function readChunks(item: string, head: Head): Promise<string | undefined> {
    const chunks: string[] = [];
    for (let index = 0; index < head.count; index++) {
      const chunk = await items.read(toChunkName(item, head.generation, index));
      if (chunk === null) return undefined;
      chunks.push(chunk);
    }
    const value = chunks.join('');
    return digest(value) === head.digest ? value : undefined;
  }

  async function removeChunks(item: string, generation: Generation, from: number): Promise<void> {
    let end = from;
    while ((await items.read(toChunkName(item, generation, end))) !== null) end++;
    while (end > from) await items.remove(toChunkName(item, generation, --end));
  }
}

function parseHead(item: string, text: string): Head {
  const [, generation, count, expected] = headPattern.exec(text) ?? [];
  if ((generation !== 'a' && generation !== 'b') || expected === undefined) {
    throw createKeychainError(
      'damaged',
      `The keychain's item ${item} is of a form that this gitlink does not know.`,
    );
  }
  return { generation, count: Number(count), digest: expected };
}

function toChunkName(item: string, generation: Generation, index: number): string {
  return `${item}#${generation}${index}`;
}

/** Splits between characters only: half a surrogate pair does not survive the way through the platform's encoding. */
function splitText(text: string, length: number): string[] {
  const chunks: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + length, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--;
    chunks.push(text.slice(start, end));
    start = end;
  }
  return chunks;
}

/** The name of the item that a platform's item is a part of; its own where it is none. */
export function toWholeItem(name: string): string {
  return name.replace(/#[ab]\d+$/, '');
}

function digest(value: string): string {
  return createHash('sha256').update(value, 'utf8').digest('base64url');
}
