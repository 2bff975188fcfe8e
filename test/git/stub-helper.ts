/**
 * A credential helper of the protocol functions and nothing else, for git to judge. Bundled and run as
 * a program. Environment: `STUB_HOST` is what it answers for, `STUB_LOG` where it notes what it was asked.
 */
import { appendFileSync } from 'node:fs';
import {
  formatCredentialAnswer,
  readCredentialInput,
  readCredentialRequest,
} from '../../src/git/credential-protocol.ts';
import { matchesHost } from '../../src/git/host-match.ts';
import { readChunks } from '../../src/git/read-chunks.ts';
import { Secret } from '../../src/secret.ts';

const input = await readCredentialInput(readChunks(0));
const request = 'refused' in input ? input : readCredentialRequest(input);
const operation = process.argv[2] ?? '';
if ('refused' in request) {
  note({ operation, refused: request.refused });
} else {
  const { protocol, host, path, username, password } = request;
  note({ operation, protocol, host, path, username, password: password?.reveal() ?? null });
  if (operation === 'get' && matchesHost(request, process.env['STUB_HOST'] ?? '', { allowHttp: false })) {
    const password = new Secret(process.env['STUB_PASSWORD'] ?? 'canary-password');
    const answer = formatCredentialAnswer(
      { username: 'mona', password, expiresAtSeconds: 4_000_000_000 },
      request,
    );
    if (Buffer.isBuffer(answer)) process.stdout.write(answer);
  }
}

function note(what: object): void {
  appendFileSync(process.env['STUB_LOG'] ?? '/dev/null', `${JSON.stringify(what)}\n`);
}
