import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planCredentialSetup } from '../../src/git/credential-config.ts';
import { createBareRepository, createGitHttpBackend } from '../support/git-http-backend.ts';
import { createSandbox, type Sandbox } from './sandbox.ts';

let folder: string;
let server: Server;
let host: string;
/** What the server was asked with: repository and authorization. */
const requests: { repository: string; writes: boolean; authorization: string | null }[] = [];

const authorized = `Basic ${Buffer.from('mona:canary-password').toString('base64')}`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gitlink-backend-'));
  await build({
    entryPoints: [join(import.meta.dirname, 'stub-helper.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: join(folder, 'stub.mjs'),
  });
  createBareRepository(join(folder, 'repositories', 'acme', 'api.git'), {
    files: { 'README.md': 'Hällo\n', 'src/deep/a.txt': 'x'.repeat(2_000_000) },
  });
  createBareRepository(join(folder, 'repositories', 'public', 'docs.git'), { files: { a: 'open\n' } });
  const backend = createGitHttpBackend({
    projectRoot: join(folder, 'repositories'),
    basePath: '/git',
    authenticate(request, { repository, writes }) {
      const authorization = request.headers.authorization ?? null;
      requests.push({ repository, writes, authorization });
      if (repository === 'public/docs.git' && !writes) return { user: null };
      if (repository === 'acme/hidden.git') return { refusal: 404 };
      return authorization === authorized ? { user: 'mona' } : { refusal: 401 };
    },
  });
  server = createServer(backend);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `http://127.0.0.1:${(server.address() as AddressInfo).port}/git`;
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

/** A home whose git asks the stub for the server, after `setup-git`, and a clear-text helper for everything else. */
async function createConfiguredSandbox(): Promise<Sandbox> {
  const sandbox = createSandbox({ STUB_HOST: host, GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_EMAIL: 'a@b' });
  const script = `#!/bin/sh\nexec '${process.execPath}' '${join(folder, 'stub.mjs')}' "$@"\n`;
  const helper = sandbox.write('stub', script, 0o755);
  const store = `store --file ${sandbox.path('clear-text')}`;
  sandbox.write('.gitconfig', `[user]\n\tname = Mona\n[credential]\n\thelper = ${store}\n`);
  const options = { hosts: [host], helper, scope: 'global', records: [] } as const;
  await (await planCredentialSetup(options, sandbox.context)).apply();
  return sandbox;
}

describe('git over http', () => {
  it('C8: clones and pushes with the answer of the helper, and no other helper gets it', async () => {
    const sandbox = await createConfiguredSandbox();
    const clone = await sandbox.git(['clone', '--quiet', `${host}/acme/api.git`, 'work']);
    expect(clone).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(sandbox.path('work', 'README.md'), 'utf8')).toBe('Hällo\n');
    sandbox.write('work/more.txt', 'y'.repeat(1_500_000));
    const cwd = sandbox.path('work');
    for (const args of [
      ['add', '.'],
      ['commit', '--quiet', '-m', 'More'],
      ['push', '--quiet'],
    ]) {
      expect(await sandbox.git(args, { cwd })).toMatchObject({ status: 0 });
    }
    const again = await sandbox.git(['clone', '--quiet', `${host}/acme/api.git`, 'again']);
    expect(again.status).toBe(0);
    expect(existsSync(sandbox.path('again', 'more.txt'))).toBe(true);
    expect(existsSync(sandbox.path('clear-text'))).toBe(false);
    expect(readFileSync(sandbox.path('work', '.git', 'config'), 'utf8')).not.toContain('canary');
  });

  it('reads a public repository without asking, and refuses what the server refuses', async () => {
    const sandbox = createSandbox();
    expect(await sandbox.git(['ls-remote', `${host}/public/docs.git`])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/refs\/heads\/main/) as string,
    });
    for (const path of [
      'acme/api.git',
      'acme/hidden.git',
      'acme/missing.git',
      '../repositories/acme/api.git',
    ]) {
      expect((await sandbox.git(['ls-remote', `${host}/${path}`])).status).toBe(128);
    }
    await sandbox.git(['clone', '--quiet', `${host}/public/docs.git`, 'work']);
    const push = await sandbox.git(['push', 'origin', 'HEAD:refs/heads/other'], {
      cwd: sandbox.path('work'),
    });
    expect(push.status).not.toBe(0);
  });

  it('C4: hands nothing to a server on another port', async () => {
    const sandbox = await createConfiguredSandbox();
    const other = createServer((request, response) => {
      requests.push({
        repository: 'other',
        writes: false,
        authorization: request.headers.authorization ?? null,
      });
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    await sandbox.git(['ls-remote', `http://127.0.0.1:${port}/git/acme/api.git`]);
    await new Promise((resolve) => other.close(resolve));
    const seen = requests.filter(({ repository }) => repository === 'other');
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.every(({ authorization }) => authorization === null)).toBe(true);
  });
});
