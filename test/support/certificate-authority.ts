import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate with its key, as `tls.createServer` takes them. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateWishes {
  /** DNS names and IPv4 addresses. */
  readonly names: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/** A private authority for tests: made anew in each run, trusted by nobody but the test. */
export interface CertificateAuthority {
  /** Its own certificate, PEM. */
  readonly certificate: string;
  /** Issues a server's certificate. */
  issue(wishes: CertificateWishes): IssuedCertificate;
  /** Issues an authority below this one. */
  issueIntermediate(name: string): CertificateAuthority;
}

const dayMs = 86_400_000;

/** Creates an authority with an EC key on P-256. */
export function createCertificateAuthority(name: string): CertificateAuthority {
  const keys = createKeys();
  return createAuthority(name, keys, name, keys.privateKey);
}

/** Makes a certificate that signs itself. */
export function createSelfSignedCertificate(names: readonly string[]): IssuedCertificate {
  const keys = createKeys();
  const name = names[0] ?? 'nobody';
  const cert = writeCertificate({
    issuer: name,
    signer: keys.privateKey,
    subject: name,
    keys,
    extensions: [nameExtension(names)],
  });
  return { cert, key: toPem(keys.privateKey) };
}

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function createKeys(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function toPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function createAuthority(
  name: string,
  keys: KeyPair,
  issuer: string,
  signer: KeyObject,
): CertificateAuthority {
  return {
    certificate: writeCertificate({ issuer, signer, subject: name, keys, extensions: authorityExtensions }),
    issue({ names, ...validity }) {
      const own = createKeys();
      const subject = names[0] ?? 'nobody';
      const extensions = [nameExtension(names), serverUse];
      const cert = writeCertificate({
        issuer: name,
        signer: keys.privateKey,
        subject,
        keys: own,
        extensions,
        ...validity,
      });
      return { cert, key: toPem(own.privateKey) };
    },
    issueIntermediate: (below) => createAuthority(below, createKeys(), name, keys.privateKey),
  };
}

/** DER: a tag, the length, the content (ITU-T X.690). */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const oid = (...bytes: readonly number[]) => der(0x06, Buffer.from(bytes));
const text = (value: string) => der(0x0c, Buffer.from(value, 'utf8'));
const yes = der(0x01, Buffer.from([0xff]));

const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));

/** Extensions of RFC 5280: identifier, critical or not, content. */
function extension(last: number, isCritical: boolean, content: Uint8Array): Buffer {
  return sequence(oid(0x55, 0x1d, last), ...(isCritical ? [yes] : []), der(0x04, content));
}

const authorityExtensions = [
  extension(19, true, sequence(yes)),
  // keyCertSign and cRLSign.
  extension(15, true, der(0x03, Buffer.from([0x01, 0x06]))),
];
const serverUse = extension(37, false, sequence(oid(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01)));

function nameExtension(names: readonly string[]): Buffer {
  const entries = names.map((name) =>
    isIP(name) === 4
      ? der(0x87, Buffer.from(name.split('.').map(Number)))
      : der(0x82, Buffer.from(name, 'ascii')),
  );
  return extension(17, false, sequence(...entries));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), text(commonName))));
}

/** GeneralizedTime: `20261120044400Z`. */
function time(date: Date): Buffer {
  return der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\.\d+Z$/g, '')}Z`, 'ascii'));
}

function writeCertificate(wishes: {
  readonly issuer: string;
  readonly signer: KeyObject;
  readonly subject: string;
  readonly keys: KeyPair;
  readonly extensions: readonly Buffer[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}): string {
  const now = Date.now();
  const serial = randomBytes(9);
  serial[0] = 0x01;
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    distinguishedName(wishes.issuer),
    sequence(time(wishes.notBefore ?? new Date(now - dayMs)), time(wishes.notAfter ?? new Date(now + dayMs))),
    distinguishedName(wishes.subject),
    wishes.keys.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...wishes.extensions)),
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', toBeSigned, wishes.signer));
  const lines =
    sequence(toBeSigned, ecdsaWithSha256, signature)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
