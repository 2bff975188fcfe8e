import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { findBrowserObstacle, openBrowser, parseBrowsable } from '../../src/oauth/open-browser.ts';
import { catchError } from '../http/http-kit.ts';

const hosts = ['git.example', 'git.example:8443'];

describe('E6: what a browser may be sent to', () => {
  test.each([
    'https://git.example/',
    'https://git.example:8443/oauth?state=a-b_c&scope=api+read%20user',
    'http://127.0.0.1:41234/start/canary',
    'http://localhost:41234/start/canary',
    'http://[::1]:41234/start/canary',
  ])('%s is opened', (address) => {
    expect(parseBrowsable(address, hosts)).toBe(address);
  });

  test.each([
    'file:///etc/passwd',
    'javascript:alert(1)',
    'data:text/html,x',
    'ms-settings:privacy',
    'ms-msdt:/id',
    'vscode://x',
    'ftp://git.example/',
    'http://git.example/',
    'https://evil.example/',
    'https://git.example.evil.example/',
    'https://git.example:444/',
    'https://git.example@evil.example/',
    'https://user:password@git.example/',
    'https://git.example\\@evil.example/',
    'https://git.example/a b',
    'https://git.example/"&calc&"',
    "https://git.example/'",
    'https://git.example/^',
    'https://git.example/`id`',
    'https://git.example/\u202e',
    'https://git.example/ä',
    'https://git.example/\n',
    'HTTPS://git.example/',
    'https://GIT.example/',
    'https://git.example',
    'https:git.example/',
    ' https://git.example/',
    '\\\\server\\share',
    '//git.example/',
    '-a Calculator',
    '--help',
    'git.example',
    '',
  ])('%j is refused', (address) => {
    expect(() => parseBrowsable(address, hosts)).toThrow('opens only web pages');
  });
});

describe('A16: whether a browser can be opened here', () => {
  const display = { DISPLAY: ':0' };

  test.each([
    [{ ...display }, 'linux', null, null],
    [{ WAYLAND_DISPLAY: 'wayland-0' }, 'linux', null, null],
    [{}, 'linux', null, 'noDisplay'],
    [{ DISPLAY: '' }, 'linux', null, 'noDisplay'],
    [{}, 'freebsd', null, 'noDisplay'],
    [{ WSL_DISTRO_NAME: 'Debian' }, 'linux', null, null],
    [{}, 'darwin', null, null],
    [{}, 'win32', null, null],
    [{ SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, 'linux', null, 'ssh'],
    [{ ...display, SSH_CONNECTION: 'x' }, 'linux', null, 'ssh'],
    [{ SSH_TTY: '/dev/pts/1' }, 'darwin', null, 'ssh'],
    [{ SSH_CONNECTION: 'x' }, 'win32', null, 'ssh'],
    [{ ...display, CI: 'true' }, 'linux', null, 'ci'],
    [{ ...display, CI: '1' }, 'darwin', 'firefox', 'ci'],
    [{ ...display, CI: 'false' }, 'linux', null, null],
    [{ ...display, CI: '' }, 'linux', null, null],
    [{}, 'linux', 'lynx', null],
    [{ SSH_CONNECTION: 'x' }, 'linux', 'forwarding-browser', null],
    [{}, 'linux', '', 'noDisplay'],
  ] as const)('%j on %s with the browser %j: %j', (env, platform, preferred, obstacle) => {
    expect(findBrowserObstacle(env, platform, preferred)).toBe(obstacle);
  });
});

describe('opening a browser', () => {
  const address = 'https://git.example/?a=1&b=%24(id)';

  /** A program that writes down its arguments. */
  function createProgram() {
    const folder = mkdtempSync(join(tmpdir(), 'gitlink-browser-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'browser');
    const seen = join(folder, 'seen');
    writeFileSync(
      path,
      `#!/bin/sh\nenv > '${seen}.env'\nprintf '%s\\n' "$#" "$@" > '${seen}.new'\nmv '${seen}.new' '${seen}'\n`,
    );
    chmodSync(path, 0o755);
    const readArguments = (): Promise<string[]> =>
      vi.waitFor(() => readFileSync(seen, 'utf8').trim().split('\n'));
    const readEnvironment = async (): Promise<string> => {
      await readArguments();
      return readFileSync(`${seen}.env`, 'utf8');
    };
    return { path, readArguments, readEnvironment };
  }

  const options = {
    env: { PATH: process.env['PATH'] },
    platform: 'linux',
    preferred: null,
    hosts,
    findProgram: () => null,
  } as const;

  test.each(['first', 'missing:first', 'path'])(
    'the preferred browser (%s) gets the address as one argument',
    async (kind) => {
      const { path, readArguments } = createProgram();
      const preferred = kind === 'path' ? path : kind;
      const findProgram = (name: string) => (name === 'first' ? path : null);
      await openBrowser(address, { ...options, preferred, findProgram });
      expect(await readArguments()).toEqual(['1', address]);
    },
  );

  test('else the launcher of the system, found on PATH by us', async () => {
    const { path, readArguments } = createProgram();
    const asked: string[] = [];
    const findProgram = (name: string) => {
      asked.push(name);
      return path;
    };
    await openBrowser(address, { ...options, findProgram });
    expect(asked).toEqual(['xdg-open']);
    expect(await readArguments()).toEqual(['1', address]);
  });

  test('B6, D3: without the secrets of the environment, and with all that a desktop needs', async () => {
    const { path, readEnvironment } = createProgram();
    const env = {
      PATH: process.env['PATH'],
      WAYLAND_DISPLAY: 'wayland-1',
      XAUTHORITY: '/run/user/1000/xauth',
      GITLINK_PROVIDER: 'github',
      GITLINK_TOKEN: 'canary-token',
      GITLINK_PASSPHRASE: 'canary passphrase',
      GH_TOKEN: 'canary-gh',
      AWS_SECRET_ACCESS_KEY: 'canary-aws',
      PGPASSWORD: 'canary-password',
    };
    const own = process.env;
    await openBrowser(address, { ...options, env, preferred: path });
    const seen = await readEnvironment();
    expect(seen).toContain('WAYLAND_DISPLAY=wayland-1');
    expect(seen).toContain('XAUTHORITY=/run/user/1000/xauth');
    expect(seen).not.toContain('canary');
    expect(process.env).toBe(own);
  });

  test.each([
    ['no launcher', null],
    ['a browser that is not there', 'missing'],
    ['arguments in the setting', 'firefox --kiosk'],
  ])('%s is said, and nothing is started', async (_, preferred) => {
    const error = await catchError(openBrowser(address, { ...options, preferred }));
    expect(error).toMatchObject({ code: 'unsupported' });
  });

  test('a program that cannot be started is said', async () => {
    const error = await catchError(openBrowser(address, { ...options, preferred: '/nowhere/browser' }));
    expect(error).toMatchObject({ code: 'unsupported' });
  });

  test('E6: a bad address never reaches a program', async () => {
    const findProgram = () => {
      throw new Error('It was looked for.');
    };
    const error = await catchError(openBrowser('file:///etc/passwd', { ...options, findProgram }));
    expect(error).toMatchObject({ code: 'usage' });
  });
});
