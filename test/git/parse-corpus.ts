/** Parses a corpus of requests (JSON, base64) and prints what was read, to compare Nodes. */
import { readFileSync } from 'node:fs';
import { readCredentialRequest } from '../../src/git/credential-protocol.ts';

const corpus: unknown = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
if (!Array.isArray(corpus)) throw new Error('the corpus is a list');
const results = corpus.map((bytes) => {
  const result = readCredentialRequest(Buffer.from(String(bytes), 'base64'));
  if ('refused' in result) return result;
  const { protocol, host, path, username, password } = result;
  return { protocol, host, path, username, password: password?.reveal() ?? null };
});
process.stdout.write(JSON.stringify(results));
