import { scrypt } from 'node:crypto';

/** What it costs to try one passphrase. */
export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MB and about 0.2 s; 2^17 would take 170 MB, which 64 parallel helpers do not have. */
export const defaultCost: ScryptCost = { n: 2 ** 15, r: 8, p: 3 };

/**
 * Whether a cost read from a file may be paid: neither so low that guessing is cheap, nor so high that a planted file
 * exhausts the machine.
 */
export function isAcceptableCost({ n, r, p }: ScryptCost): boolean {
  const isPowerOfTwo = Number.isInteger(Math.log2(n));
  return isPowerOfTwo && n >= 2 ** 15 && n <= 2 ** 17 && r === 8 && p >= 1 && p <= 8 && Number.isInteger(p);
}

/**
 * Makes key material from a passphrase by scrypt (RFC 7914).
 *
 * @param cost - Checked by {@link isAcceptableCost} where it comes from a file.
 * @param lengthBytes - How much to make; its parts are independent of each other.
 */
export function derivePassphraseKey(
  passphrase: string,
  salt: Buffer,
  cost: ScryptCost,
  lengthBytes: number,
): Promise<Buffer> {
  const { n, r, p } = cost;
  // OpenSSL counts a little more than the 128·n·r bytes of the algorithm.
  const maxmem = 128 * n * r + 128 * r * p + 1024 * 1024;
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFC'), salt, lengthBytes, { N: n, r, p, maxmem }, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
