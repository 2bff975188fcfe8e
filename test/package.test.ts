import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const project = resolve(import.meta.dirname, '..');

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly resolved?: string;
  readonly engines?: { readonly node?: string };
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(join(project, path), 'utf8')) as T;
}

const locked = Object.entries(
  readJson<{ packages: Readonly<Record<string, LockedPackage>> }>('package-lock.json').packages,
).filter(([path]) => path !== '');

interface Packed {
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

function pack(): Packed {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: project,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [packed] = JSON.parse(output) as Packed[];
  if (!packed) throw new Error('npm pack named no package.');
  return packed;
}

describe('package', () => {
  test('G7: what is published is an allow-list', () => {
    const { files, unpackedSize } = pack();
    const paths = files.map(({ path }) => path);
    const wrong = paths.filter(
      (path) =>
        ![
          'LICENSE',
          'README.md',
          'package.json',
          'bin/gitlink.js',
          'bin/git-credential-gitlink.js',
          'bin/package.json',
        ].includes(path) && !/^(?:dist\/[\w-]+\.(?:c?js|txt)|schemas\/[a-z-]+\.json)$/.test(path),
    );
    expect(wrong).toEqual([]);
    expect(paths).toContain('dist/start.cjs');
    expect(paths).toContain('dist/THIRD-PARTY-LICENSES.txt');
    expect(unpackedSize).toBeLessThanOrEqual(2_000_000);
  });

  test('G1: at most 10 packages are installed with gitlink', () => {
    const runtime = locked.filter(([, entry]) => entry.dev !== true);
    const oneBinding = runtime.filter(([path]) => !/keyring-(?!linux-x64-gnu)/.test(path));
    expect(oneBinding.length).toBeLessThanOrEqual(10);
  });

  test('G2: nothing that is installed with gitlink has an install script', () => {
    const scripted = locked.filter(([, entry]) => entry.hasInstallScript === true && entry.dev !== true);
    expect(scripted).toEqual([]);
    const { scripts } = readJson<{ scripts: Readonly<Record<string, string>> }>('package.json');
    expect(Object.keys(scripts).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
  });

  test('G4: versions are exact, and the lock file names no registry', () => {
    const { dependencies, devDependencies } =
      readJson<Record<string, Record<string, string>>>('package.json');
    const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).toEqual([]);
    expect(locked.filter(([, entry]) => entry.resolved !== undefined)).toEqual([]);
  });

  test('every locked package runs on Node 20.19', () => {
    const wrong = locked.filter(([, { engines }]) => engines?.node !== undefined && !admits(engines.node));
    expect(wrong.map(([path, { engines }]) => `${path}: ${engines?.node ?? ''}`)).toEqual([]);
  });

  test('a bundled library is justified in the README', () => {
    const readme = readFileSync(join(project, 'README.md'), 'utf8');
    const licences = readFileSync(join(project, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
    const { devDependencies } = readJson<{ devDependencies: Readonly<Record<string, string>> }>(
      'package.json',
    );
    const bundled = Object.keys(devDependencies).filter((name) =>
      new RegExp(`^${name.replace('/', '\\/')} \\d`, 'm').test(licences),
    );
    expect(bundled.length).toBeGreaterThan(3);
    expect(bundled.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });
});

/** Whether a range of Node versions, as packages write it, contains 20.19.0. */
function admits(range: string): boolean {
  return range.split('||').some((part) =>
    part
      .trim()
      .replace(/([<>=^~])\s+/g, '$1')
      .split(/\s+(?=[<>=^~\d])/)
      .every((condition) => {
        const [, operator = '', major = '0', minor = '0', patch = '0'] =
          /^([<>=^~]*)\s*v?(\d+|\*)(?:\.(\d+|x|\*))?(?:\.(\d+|x|\*))?/.exec(condition) ?? [];
        if (condition === '*' || condition === '') return true;
        const wanted = [major, minor, patch].map((text) => Number(text) || 0);
        const order = compare([20, 19, 0], wanted);
        switch (operator) {
          case '>=':
            return order >= 0;
          case '>':
            return order > 0;
          case '<':
            return order < 0;
          case '<=':
            return order <= 0;
          case '~':
            return order >= 0 && wanted[0] === 20 && wanted[1] === 19;
          default:
            return order >= 0 && wanted[0] === 20;
        }
      }),
  );
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, position) => value !== b[position]);
  return index === -1 ? 0 : Math.sign((a[index] ?? 0) - (b[index] ?? 0));
}
