import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isAcceptableCost, type ScryptCost } from './passphrase-key.ts';
import { VaultError } from './vault.ts';

/**
 * The encrypted file: one line of JSON with the records, each sealed by AES-256-GCM, and a line with two sums of the
 * first line's bytes in hex: HMAC-SHA256 under a key from the passphrase, so that nothing can be changed, exchanged,
 * rolled back, added or taken away; and SHA-256, which tells a damaged file from a wrong passphrase.
 */
export interface Container {
  readonly kdf: ScryptCost & { readonly salt: string };
  /** A part of the key material that is used for nothing else: whether it is equal tells if the passphrase is right. */
  readonly check: string;
  /** Counts the writes. */
  readonly generation: number;
  readonly records: readonly SealedRecord[];
}

export interface SealedRecord {
  readonly item: string;
  /** The container's generation when the record was written. */
  readonly generation: number;
  readonly nonce: string;
  readonly sealed: string;
}

export interface ContainerKeys {
  readonly record: Buffer;
  readonly mac: Buffer;
  readonly check: Buffer;
}

/** A container whose keys are not known yet. */
export interface UnprovedContainer {
  readonly container: Container;
  readonly body: string;
  readonly mac: string;
}

export const keyMaterialLength = 96;

const format = 'gitlink-vault';
const version = 1;
const sumsPattern = /^([0-9a-f]{64}) ([0-9a-f]{64})\n$/;
const tagLength = 16;
const damageHint = 'The file was left as it is. Restore it from a backup of yours, or link again.';

export function createDamageError(message: string): VaultError {
  return new VaultError('damaged', message, { hint: damageHint });
}

/** Splits key material of {@link keyMaterialLength} bytes. */
export function splitKeyMaterial(material: Buffer): ContainerKeys {
  return {
    record: material.subarray(0, 32),
    mac: material.subarray(32, 64),
    check: material.subarray(64, 96),
  };
}

/**
 * Reads a container as far as that is possible without its keys.
 *
 * @returns `undefined` if the file is damaged.
 * @throws VaultError for a file that must not even be tried: of a newer gitlink, or with a cost out of bounds.
 */
export function parseContainer(bytes: Buffer): UnprovedContainer | undefined {
  const bodyEnd = bytes.indexOf(0x0a) + 1;
  const [, mac, checksum] = sumsPattern.exec(bytes.toString('latin1', bodyEnd)) ?? [];
  const container = toContainer(parseJson(bytes.toString('utf8', 0, bodyEnd)));
  const isIntact = checksum === createHash('sha256').update(bytes.subarray(0, bodyEnd)).digest('hex');
  if (!container || mac === undefined || !isIntact) return undefined;
  return { container, body: bytes.toString('utf8', 0, bodyEnd), mac };
}

/** @throws VaultError `denied` if the keys are of another passphrase, `damaged` if anything was changed. */
export function proveContainer({ container, body, mac }: UnprovedContainer, keys: ContainerKeys): Container {
  const expected = createHmac('sha256', keys.mac).update(body, 'utf8').digest();
  const isAuthentic = timingSafeEqual(expected, Buffer.from(mac, 'hex'));
  if (!timingSafeEqual(Buffer.from(container.check, 'hex'), keys.check)) {
    throw new VaultError('denied', 'The passphrase does not open the encrypted file.', {
      hint: 'Check GITLINK_PASSPHRASE, the passphrase file, or what was typed.',
    });
  }
  if (!isAuthentic)
    throw createDamageError('The encrypted file was changed by something other than gitlink.');
  return container;
}

export function serializeContainer(container: Container, keys: ContainerKeys): Buffer {
  const body = `${JSON.stringify({ format, version, minReader: version, ...container })}\n`;
  const mac = createHmac('sha256', keys.mac).update(body, 'utf8').digest('hex');
  const checksum = createHash('sha256').update(body, 'utf8').digest('hex');
  return Buffer.from(`${body}${mac} ${checksum}\n`, 'utf8');
}

/** Seals a value so that it opens only as this item of this generation. */
export function sealRecord(
  identity: { readonly item: string; readonly generation: number },
  value: string,
  keys: ContainerKeys,
  nonce: Buffer,
): SealedRecord {
  const cipher = createCipheriv('aes-256-gcm', keys.record, nonce, { authTagLength: tagLength });
  cipher.setAAD(toAssociatedData(identity));
  const sealed = Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { ...identity, nonce: nonce.toString('hex'), sealed: sealed.toString('base64') };
}

/** @throws VaultError `damaged` */
export function openRecord(record: SealedRecord, keys: ContainerKeys): string {
  const sealed = Buffer.from(record.sealed, 'base64');
  const nonce = Buffer.from(record.nonce, 'hex');
  try {
    const decipher = createDecipheriv('aes-256-gcm', keys.record, nonce, { authTagLength: tagLength });
    decipher.setAAD(toAssociatedData(record));
    decipher.setAuthTag(sealed.subarray(-tagLength));
    const value = Buffer.concat([decipher.update(sealed.subarray(0, -tagLength)), decipher.final()]);
    const text = value.toString('utf8');
    value.fill(0);
    return text;
  } catch {
    throw createDamageError(`The encrypted file's record ${record.item} does not open.`);
  }
}

function toAssociatedData({
  item,
  generation,
}: {
  readonly item: string;
  readonly generation: number;
}): Buffer {
  const kind = item.split('.', 1)[0];
  return Buffer.from(JSON.stringify([version, item, kind, generation]), 'utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Narrows what is used before the sums are checked; the records are gitlink's own once the HMAC is right. */
function toContainer(value: unknown): Container | undefined {
  if (!isRecord(value) || value['format'] !== format) return undefined;
  if (typeof value['minReader'] === 'number' && value['minReader'] > version) {
    throw new VaultError('damaged', 'The encrypted file was written by a newer gitlink.', {
      hint: 'Update gitlink. The file was left as it is.',
    });
  }
  const { kdf, check, generation, records } = value;
  if (!isRecord(kdf) || !isHex(check, 32) || typeof generation !== 'number') return undefined;
  const { n, r, p, salt } = kdf;
  if (typeof n !== 'number' || typeof r !== 'number' || typeof p !== 'number') return undefined;
  if (!isHex(salt, 16) || !Array.isArray(records)) return undefined;
  if (!isAcceptableCost({ n, r, p })) {
    throw createDamageError('The encrypted file asks for more work than gitlink would ever ask for.');
  }
  return { kdf: { n, r, p, salt }, check, generation, records: records as SealedRecord[] };
}

function isHex(value: unknown, lengthBytes: number): value is string {
  return typeof value === 'string' && value.length === 2 * lengthBytes && /^[0-9a-f]*$/.test(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
