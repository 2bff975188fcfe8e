/**
 * The part of D-Bus's wire format that the Secret Service needs.
 * Source: D-Bus Specification, "Marshaling (Wire Format)" and "Message Protocol".
 */

/** A value on the wire. Structs and dictionary entries are arrays; an array of bytes is a Buffer. */
export type BusValue = number | boolean | string | Buffer | BusVariant | readonly BusValue[];

export interface BusVariant {
  readonly signature: string;
  readonly value: BusValue;
}

export const messageTypes = { call: 1, reply: 2, error: 3, signal: 4 } as const;

export interface BusMessage {
  readonly type: number;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly errorName?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly sender?: string;
  /** The types of the body. */
  readonly signature?: string;
  readonly body?: readonly BusValue[];
}

/** Header fields by their code; the place in the list is the code. */
const headerFields = [
  undefined,
  ['path', 'o'],
  ['interface', 's'],
  ['member', 's'],
  ['errorName', 's'],
  ['replySerial', 'u'],
  ['destination', 's'],
  ['sender', 's'],
  ['signature', 'g'],
] as const;

const fixedHeaderLength = 16;
/** Far above what a hundred secrets need, and small enough to hold in memory. */
const messageLengthLimit = 32 * 1024 * 1024;
const variantDepthLimit = 16;

/** Writes a message, little-endian. */
export function encodeMessage(message: BusMessage): Buffer {
  const body = new Writer();
  splitSignature(message.signature ?? '').forEach((type, index) => {
    body.write(type, message.body?.[index] ?? '');
  });
  // The header is a `yyyyuua(yv)`, written without going by its signature: git's helper runs this once, uncompiled.
  const header = new Writer();
  for (const byte of [0x6c, message.type, 0, 1]) header.write('y', byte);
  header.write('u', body.length);
  header.write('u', message.serial);
  header.writeArray('(', () => {
    headerFields.forEach((field, code) => {
      if (!field) return;
      const value = message[field[0]];
      if (value === undefined) return;
      header.align(8);
      header.write('y', code);
      header.write('g', field[1]);
      header.write(field[1], value);
    });
  });
  header.align(8);
  return Buffer.concat([header.toBuffer(), body.toBuffer()]);
}

/**
 * Reads the first message of some bytes.
 *
 * @returns The message and its length, or `undefined` while bytes are missing.
 * @throws RangeError for bytes that are no message.
 */
export function decodeMessage(bytes: Buffer): { message: BusMessage; length: number } | undefined {
  if (bytes.length < fixedHeaderLength) return undefined;
  const order = bytes[0];
  if ((order !== 0x6c && order !== 0x42) || bytes[3] !== 1) throw new RangeError('not a D-Bus message');
  const reader = new Reader(bytes, order === 0x6c);
  reader.offset = 4;
  const bodyLength = Number(reader.read('u'));
  const serial = Number(reader.read('u'));
  const headerLength = alignTo(fixedHeaderLength + Number(reader.read('u')), 8);
  const length = headerLength + bodyLength;
  if (length > messageLengthLimit) throw new RangeError('D-Bus message too long');
  if (bytes.length < length) return undefined;

  reader.offset = fixedHeaderLength - 4;
  const fields: Record<string, BusValue> = {};
  reader.readArray('(', () => {
    reader.align(8);
    const field = headerFields[Number(reader.read('y'))];
    const { signature: type, value } = reader.readVariant();
    if (field && type === field[1]) fields[field[0]] = value;
  });
  reader.offset = headerLength;
  const signature = typeof fields['signature'] === 'string' ? fields['signature'] : '';
  const body = splitSignature(signature).map((type) => reader.read(type));
  if (reader.offset !== length) throw new RangeError('D-Bus body does not match its signature');
  return { message: { ...fields, type: bytes[1] ?? 0, serial, signature, body }, length };
}

/** The entries of a dictionary, or the members of an array of pairs. */
export function toPairs(value: BusValue | undefined): [BusValue, BusValue][] {
  return toList(value).map((entry) => {
    const [first, second] = toList(entry);
    if (first === undefined || second === undefined) throw new RangeError('not a pair');
    return [first, second];
  });
}

/** @throws RangeError if the value is no array or struct. */
export function toList(value: BusValue | undefined): readonly BusValue[] {
  if (!isList(value)) throw new RangeError('not a list');
  return value;
}

function isList(value: BusValue | undefined): value is readonly BusValue[] {
  return Array.isArray(value);
}

/** @throws RangeError if the value is no string. */
export function toText(value: BusValue | undefined): string {
  if (typeof value !== 'string') throw new RangeError('not a string');
  return value;
}

export function isVariant(value: BusValue | undefined): value is BusVariant {
  return typeof value === 'object' && 'signature' in value;
}

/** Splits a signature into its complete types. */
function splitSignature(signature: string): string[] {
  const types: string[] = [];
  for (let start = 0; start < signature.length;) {
    const end = findTypeEnd(signature, start);
    types.push(signature.slice(start, end));
    start = end;
  }
  return types;
}

function findTypeEnd(signature: string, start: number): number {
  const first = signature[start];
  if (first === 'a') return findTypeEnd(signature, start + 1);
  if (first !== '(' && first !== '{') {
    if (first === undefined || !'ybusogv'.includes(first)) throw new RangeError('unknown D-Bus type');
    return start + 1;
  }
  const close = first === '(' ? ')' : '}';
  // An empty struct would let an array of them never end.
  let end = findTypeEnd(signature, start + 1);
  while (signature[end] !== close) end = findTypeEnd(signature, end);
  return end + 1;
}

function alignmentOf(type: string): number {
  if (type[0] === '(' || type[0] === '{') return 8;
  return type[0] === 'y' || type[0] === 'g' || type[0] === 'v' ? 1 : 4;
}

function alignTo(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

class Writer {
  length = 0;
  #bytes = Buffer.alloc(512);

  toBuffer(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  align(alignment: number): void {
    this.#grow(alignTo(this.length, alignment) - this.length);
  }

  write(type: string, value: BusValue): void {
    if (type[0] === 'a') {
      const element = type.slice(1);
      this.writeArray(element, () => {
        if (Buffer.isBuffer(value)) this.#append(value);
        else for (const member of toList(value)) this.write(element, member);
      });
    } else if (type[0] === '(' || type[0] === '{') {
      this.align(8);
      const members = toList(value);
      splitSignature(type.slice(1, -1)).forEach((member, index) => {
        this.write(member, members[index] ?? '');
      });
    } else if (type === 'v') {
      if (!isVariant(value)) throw new RangeError('not a variant');
      this.write('g', value.signature);
      this.write(value.signature, value.value);
    } else if (type === 'y') {
      const at = this.#grow(1);
      this.#bytes[at] = Number(value);
    } else if (type === 'u' || type === 'b') {
      this.#writeLength(Number(value));
    } else {
      const text = toText(value);
      const length = Buffer.byteLength(text, 'utf8');
      this.write(type === 'g' ? 'y' : 'u', length);
      const at = this.#grow(length + 1);
      this.#bytes.write(text, at, 'utf8');
      this.#bytes[at + length] = 0;
    }
  }

  /** Writes an array, given the type of its elements, or how that begins. */
  writeArray(element: string, writeElements: () => void): void {
    const lengthAt = this.#writeLength(0);
    this.align(alignmentOf(element));
    const start = this.length;
    writeElements();
    this.#bytes.writeUInt32LE(this.length - start, lengthAt);
  }

  #writeLength(value: number): number {
    this.align(4);
    const at = this.#grow(4);
    this.#bytes.writeUInt32LE(value, at);
    return at;
  }

  #append(bytes: Buffer): void {
    const at = this.#grow(bytes.length);
    bytes.copy(this.#bytes, at);
  }

  #grow(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], Math.max(this.length, this.#bytes.length * 2));
    }
    return at;
  }
}

class Reader {
  offset = 0;
  readonly #bytes: Buffer;
  readonly #isLittleEndian: boolean;
  #variantDepth = 0;

  constructor(bytes: Buffer, isLittleEndian: boolean) {
    this.#bytes = bytes;
    this.#isLittleEndian = isLittleEndian;
  }

  align(alignment: number): void {
    this.offset = alignTo(this.offset, alignment);
  }

  read(type: string): BusValue {
    if (type[0] === 'a') return this.#readList(type.slice(1));
    if (type[0] === '(' || type[0] === '{') {
      this.align(8);
      return splitSignature(type.slice(1, -1)).map((member) => this.read(member));
    }
    if (type === 'y') return this.#bytes[this.#take(1)] ?? 0;
    if (type === 'u') return this.#readLength();
    if (type === 'b') return this.#readLength() !== 0;
    if (type === 'v') return this.readVariant();
    const length = Number(this.read(type === 'g' ? 'y' : 'u'));
    const start = this.#take(length + 1);
    return this.#bytes.toString('utf8', start, start + length);
  }

  /** Reads an array, given the type of its elements, or how that begins. */
  readArray(element: string, readElement: () => void): void {
    const length = this.#readLength();
    this.align(alignmentOf(element));
    const end = this.offset + length;
    while (this.offset < end) readElement();
    if (this.offset !== end) throw new RangeError('D-Bus array overruns its length');
  }

  readVariant(): BusVariant {
    if (++this.#variantDepth > variantDepthLimit) throw new RangeError('D-Bus variants nested too deep');
    const [signature, ...more] = splitSignature(toText(this.read('g')));
    if (signature === undefined || more.length > 0) throw new RangeError('not one complete type');
    const value = this.read(signature);
    this.#variantDepth--;
    return { signature, value };
  }

  #readList(element: string): BusValue {
    if (element === 'y') {
      const length = this.#readLength();
      const start = this.#take(length);
      return this.#bytes.subarray(start, start + length);
    }
    const members: BusValue[] = [];
    this.readArray(element, () => members.push(this.read(element)));
    return members;
  }

  #readLength(): number {
    this.align(4);
    const start = this.#take(4);
    return this.#isLittleEndian ? this.#bytes.readUInt32LE(start) : this.#bytes.readUInt32BE(start);
  }

  /** Passes over bytes. @returns where they begin. */
  #take(length: number): number {
    const start = this.offset;
    this.offset += length;
    if (this.offset > this.#bytes.length) throw new RangeError('D-Bus message too short');
    return start;
  }
}
