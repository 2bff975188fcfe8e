/** As `util.inspect.custom`; the registered symbol spares git's helper the module. */
const inspectCustom = Symbol.for('nodejs.util.inspect.custom');

/** Secrets that this process holds, so that the redactor can find them in any text. */
const liveSecrets = new Set<string>();

/** Keys the fingerprints of this process: equal secrets look equal in one trace and tell nothing outside it. */
let fingerprintKey: Buffer | undefined;

/**
 * A value that prints as `[secret <fingerprint>]` wherever it ends up. {@link Secret.reveal} is the only way
 * out and belongs to the sinks alone: the HTTP door, the vaults, git's helper and the commands that print one.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    if (value.length >= 4) liveSecrets.add(value);
  }

  /** The secret itself. */
  reveal(): string {
    return this.#value;
  }

  /** Whether both hold the same value. */
  equals(other: Secret): boolean {
    return this.#value === other.#value;
  }

  /** Whether the value ends so, for hosts that list tokens by their last characters. */
  endsWith(suffix: string): boolean {
    return suffix !== '' && this.#value.endsWith(suffix);
  }

  /** Whether the value has a form, for hosts whose tokens tell their kind. */
  matches(pattern: RegExp): boolean {
    return pattern.test(this.#value);
  }

  /** The same secret in another form, such as another encoding. */
  map(change: (value: string) => string): Secret {
    return new Secret(change(this.#value));
  }

  get length(): number {
    return this.#value.length;
  }

  /** Whether every character is visible ASCII, so that it can travel in a header or a line. */
  get isPrintableAscii(): boolean {
    return /^[\x21-\x7e]+$/.test(this.#value);
  }

  /** Eight hex digits that tell two secrets of this process apart. */
  get fingerprint(): string {
    // Loaded here because git's helper never prints a secret and starts faster without it.
    const { createHmac, randomBytes } = process.getBuiltinModule('node:crypto');
    fingerprintKey ??= randomBytes(32);
    return createHmac('sha256', fingerprintKey).update(this.#value).digest('hex').slice(0, 8);
  }

  toString(): string {
    return `[secret ${this.fingerprint}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspectCustom](): string {
    return this.toString();
  }
}

/** Every secret value that this process has wrapped so far. For the redactor. */
export function listLiveSecrets(): ReadonlySet<string> {
  return liveSecrets;
}
