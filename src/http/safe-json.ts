const depthLimit = 64;
const poisonedKeys = ['__proto__', 'constructor', 'prototype'];

/** Parsed JSON, or why there is none. The reason never quotes the text. */
export type ParsedJson =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

/**
 * Parses foreign JSON into objects without a prototype, without the keys that have led to prototype pollution,
 * at most 64 levels deep.
 */
export function parseJson(text: string): ParsedJson {
  if (isDeeperThan(depthLimit, text)) return { ok: false, problem: 'data nested too deeply' };
  try {
    const value: unknown = JSON.parse(text);
    disarm(value);
    return { ok: true, value };
  } catch {
    return { ok: false, problem: 'broken JSON' };
  }
}

/** Counts before parsing: ten million brackets would cost gigabytes as arrays. */
function isDeeperThan(limit: number, text: string): boolean {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x22) index = findStringEnd(text, index);
    else if (code === 0x5b || code === 0x7b) depth += 1;
    else if (code === 0x5d || code === 0x7d) depth -= 1;
    if (depth > limit) return true;
  }
  return false;
}

function findStringEnd(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && text.charCodeAt(index) !== 0x22) {
    index += text.charCodeAt(index) === 0x5c ? 2 : 1;
  }
  return index;
}

/** Works in place: `JSON.parse` made these objects, nobody else holds them, and copying would double the memory. */
function disarm(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) {
    for (const key of poisonedKeys) {
      if (Object.hasOwn(value, key)) Reflect.deleteProperty(value, key);
    }
    Object.setPrototypeOf(value, null);
  }
  for (const child of Object.values(value)) disarm(child);
}
