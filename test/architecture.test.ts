import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { providers } from '../src/providers/registry.ts';
import { gitAccesses } from '../src/providers/git-registry.ts';

const source = resolve(import.meta.dirname, '../src');

/** cli → operations → the siblings → http; a layer may import what stands after it. */
const layers: Readonly<Record<string, readonly string[]>> = {
  cli: ['operations', 'providers', 'oauth', 'git', 'vault', 'store', 'http'],
  operations: ['providers', 'oauth', 'git', 'vault', 'store', 'http'],
  providers: ['http'],
  oauth: ['http'],
  git: ['http'],
  vault: ['http'],
  store: ['http'],
  http: [],
};

/** Libraries that one layer keeps to itself. */
const owners: Readonly<Record<string, string>> = {
  commander: 'cli',
  chalk: 'cli',
  '@inquirer/prompts': 'cli',
  open: 'oauth',
  conf: 'store',
  '@napi-rs/keyring': 'vault',
  undici: 'http',
  oauth4webapi: 'oauth',
};

/** Plain words that every layer may use, and the entries, which start the program. */
const plainFiles = ['errors.ts', 'secret.ts', 'redaction.ts', 'printable.ts', 'runtime.ts', 'version.ts'];

interface Import {
  readonly from: string;
  readonly to: string;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.ts') && !path.endsWith('.test.ts'),
);

function readImports(file: string): Import[] {
  const text = readFileSync(join(source, file), 'utf8');
  const pattern = /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g;
  return [...text.matchAll(pattern)].map(([, to = '']) => ({ from: file, to }));
}

function layerOf(path: string): string | null {
  const [folder = '', ...rest] = path.split('/');
  return rest.length > 0 ? folder : null;
}

const imports = files.flatMap(readImports);

describe('architecture', () => {
  test('data flows one way: nothing imports leftwards, siblings do not import each other', () => {
    const wrong = imports.filter(({ from, to }) => {
      const layer = layerOf(from);
      if (!to.startsWith('.') || layer === null) return false;
      const target = relative(source, resolve(source, dirname(from), to));
      const targetLayer = layerOf(target);
      if (targetLayer === null) return !plainFiles.includes(target);
      return targetLayer !== layer && !(layers[layer] ?? []).includes(targetLayer);
    });
    expect(wrong).toEqual([]);
  });

  test('each library is known by one layer only', () => {
    const wrong = imports.filter(({ from, to }) => to in owners && layerOf(from) !== owners[to]);
    expect(wrong).toEqual([]);
  });

  test('a provider imports no other provider', () => {
    const wrong = imports.filter(({ from, to }) => {
      const [, folder = ''] = from.split('/');
      const target = relative(source, resolve(source, dirname(from), to)).split('/');
      return (
        from.startsWith('providers/') &&
        from.split('/').length > 2 &&
        target[0] === 'providers' &&
        target.length > 2 &&
        target[1] !== folder
      );
    });
    expect(wrong).toEqual([]);
  });

  test('the registry names every provider folder, for the commands and for git', () => {
    const folders = readdirSync(join(source, 'providers'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
    expect(providers.map(({ id }) => id).sort()).toEqual(folders);
    expect(Object.keys(gitAccesses).sort()).toEqual(folders);
  });

  test('D1: a secret is revealed at the sinks only', () => {
    const sinks = [
      'cli/commands/exec.ts',
      'cli/commands/token.ts',
      'cli/commands/webhook-secret.ts',
      'cli/credential-flags.ts',
      'cli/secret-output.ts',
      'git/credential-protocol.ts',
      'git/list-remote.ts',
      'http/proxy-choice.ts',
      'http/transport.ts',
      'http/write-request.ts',
      'oauth/authorization-code.ts',
      'oauth/endpoint.ts',
      'operations/receiver-command.ts',
      'providers/github/app-jwt.ts',
      'operations/stored-credential.ts',
    ];
    const revealing = files.filter(
      (file) => !file.startsWith('vault/') && readFileSync(join(source, file), 'utf8').includes('.reveal()'),
    );
    expect(revealing.filter((file) => !sinks.includes(file))).toEqual([]);
  });

  test('nine files in ten have at most 350 lines', () => {
    const long = files.filter((file) => readFileSync(join(source, file), 'utf8').split('\n').length > 350);
    expect(long.length).toBeLessThanOrEqual(files.length / 10);
  });
});
