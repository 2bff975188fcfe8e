import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { sendRequest, type GotResponse, type SentRequest } from '../simulators/send-request.ts';

/** Where a real Gitea is to be had. */
export type GiteaPlace =
  | { readonly url: string; readonly adminToken: string }
  | { readonly binary: string; readonly staticRoot: string | null };

export interface RealGitea {
  /** Without a slash at its end. */
  readonly url: string;
  /** As `1.27.0`. */
  readonly version: string;
  /** A new person with a password, no repositories and no tokens. */
  createAccount(): Promise<GiteaAccount>;
  /** Deletes the accounts; ends the server if it was started here. */
  stop(): Promise<void>;
}

export interface GiteaAccount {
  readonly login: string;
  readonly password: string;
  /** Makes a personal access token, as its page on the web would. */
  createToken(scopes: readonly string[]): Promise<string>;
  /** Makes an organization that the account owns. */
  createOrganization(name: string): Promise<void>;
  /** Makes a private repository with one commit. */
  createRepository(owner: string, name: string): Promise<void>;
  listHooks(fullName: string): Promise<readonly RealHook[]>;
  readFile(fullName: string, path: string): Promise<string>;
}

export interface RealHook {
  readonly id: number;
  readonly name?: string;
  readonly active: boolean;
  readonly events: readonly string[];
  readonly config: { readonly url: string };
}

const startDeadlineMs = 60_000;
const run = promisify(execFile);

/**
 * Looks for a real Gitea: a running one at `GITEA_URL`, for whose site admin `GITEA_TOKEN` is, then the program
 * `GITEA_BIN`, then a `gitea` on PATH. `GITEA_STATIC_ROOT` names the folder of the templates for a program that has none
 * inside.
 *
 * @throws Error where the variables name what is not there: then nothing may be skipped.
 */
export function findGitea(env: NodeJS.ProcessEnv = process.env): GiteaPlace | null {
  const { GITEA_URL: url, GITEA_TOKEN: adminToken, GITEA_BIN: named } = env;
  if (url) {
    if (!adminToken)
      throw new Error('GITEA_URL needs GITEA_TOKEN: a token of a site admin with the scope all.');
    return { url: url.replace(/\/+$/, ''), adminToken };
  }
  const candidates = named
    ? [named]
    : (env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'gitea'));
  const binary = candidates.find(isExecutable);
  if (named && !binary) throw new Error(`GITEA_BIN names ${named}, which cannot be run.`);
  return binary ? { binary, staticRoot: env['GITEA_STATIC_ROOT'] ?? null } : null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RealGiteaOptions {
  /** Keys of `[oauth2]` in its configuration, such as `ACCESS_TOKEN_EXPIRATION_TIME` in seconds. */
  readonly oauth2?: Readonly<Record<string, string | number | boolean>>;
}

/**
 * Reaches the running Gitea, or starts a throw-away one on 127.0.0.1 with all of its state in a temporary folder.
 *
 * @param options - Only for one that is started here: a running one stays as it is.
 */
export async function startRealGitea(place: GiteaPlace, options: RealGiteaOptions = {}): Promise<RealGitea> {
  if ('url' in place) return createRealGitea(place.url, place.adminToken, async () => {});
  const folder = await mkdtemp(join(tmpdir(), 'gitlink-gitea-'));
  const server = await startServer(place, folder, options);
  const stop = async () => {
    server.child.kill('SIGTERM');
    await server.ended;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitUntilReady(server);
    return await createRealGitea(server.url, await createAdmin(server), stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Server {
  readonly binary: string;
  readonly url: string;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  /** What it printed, for the error that says why it did not start. */
  readonly log: () => string;
}

async function startServer(
  { binary, staticRoot }: Extract<GiteaPlace, { readonly binary: string }>,
  folder: string,
  options: RealGiteaOptions,
): Promise<Server> {
  const home = join(folder, 'home');
  await mkdir(home);
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  await writeFile(join(folder, 'app.ini'), toConfiguration({ folder, port, url, staticRoot, ...options }), {
    mode: 0o600,
  });
  // Gitea writes a git configuration into its home.
  const env = { PATH: process.env['PATH'], HOME: home, GITEA_WORK_DIR: folder, GIT_CONFIG_NOSYSTEM: '1' };
  const child = spawn(binary, ['web', ...toPlaceFlags(folder)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  return { binary, url, folder, env, child, ended: once(child, 'close'), log: () => log };
}

function toPlaceFlags(folder: string): readonly string[] {
  return ['--config', join(folder, 'app.ini'), '--work-path', folder];
}

/** Gitea wants to be told its port, because it is part of the addresses that it gives out. */
async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface ServerWishes extends RealGiteaOptions {
  readonly folder: string;
  readonly port: number;
  readonly url: string;
  readonly staticRoot: string | null;
}

/** Complete, so that Gitea does not write into it; cheap in what only a server for years needs. */
function toConfiguration({ folder, port, url, staticRoot, oauth2 = {} }: ServerWishes): string {
  return `RUN_MODE = prod
RUN_USER = ${userInfo().username}
WORK_PATH = ${folder}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = ${port}
ROOT_URL = ${url}/
LOCAL_ROOT_URL = ${url}/
APP_DATA_PATH = ${join(folder, 'data')}
${staticRoot === null ? '' : `STATIC_ROOT_PATH = ${staticRoot}`}
DISABLE_SSH = true
OFFLINE_MODE = true
LFS_START_SERVER = false
[database]
DB_TYPE = sqlite3
PATH = ${join(folder, 'gitea.db')}
[security]
INSTALL_LOCK = true
SECRET_KEY = ${randomBytes(32).toString('hex')}
INTERNAL_TOKEN = ${randomBytes(32).toString('hex')}
PASSWORD_HASH_ALGO = pbkdf2$1$50
[oauth2]
JWT_SECRET = ${randomBytes(32).toString('base64url')}
JWT_SIGNING_ALGORITHM = ES256
${Object.entries(oauth2)
  .map(([key, value]) => `${key} = ${String(value)}`)
  .join('\n')}
[webhook]
ALLOWED_HOST_LIST = loopback
[service]
DISABLE_REGISTRATION = true
[repository]
ROOT = ${join(folder, 'repositories')}
DEFAULT_BRANCH = main
[session]
PROVIDER = memory
[cache]
ADAPTER = memory
[queue]
TYPE = channel
[picture]
DISABLE_GRAVATAR = true
[mailer]
ENABLED = false
[actions]
ENABLED = false
[packages]
ENABLED = false
[cron.update_checker]
ENABLED = false
[log]
MODE = console
LEVEL = Warn
`;
}

async function waitUntilReady({ url, child, log }: Server): Promise<void> {
  const isReady = async () => (await sendRequest(`${url}/api/v1/version`).catch(() => null))?.status === 200;
  const deadline = Date.now() + startDeadlineMs;
  while (!(await isReady())) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`Gitea did not start:\n${log()}`);
    await delay(100);
  }
}

/** @returns a token of a new site admin. */
async function createAdmin({ binary, folder, env }: Server): Promise<string> {
  const call = (args: readonly string[]) =>
    run(binary, ['admin', 'user', ...args, ...toPlaceFlags(folder)], { env });
  const username = 'gitlink-admin';
  const password = randomBytes(12).toString('hex');
  const account = ['--username', username, '--password', password, '--email', `${username}@example.invalid`];
  await call(['create', ...account, '--admin', '--must-change-password=false']);
  const token = ['--username', username, '--token-name', 'test', '--scopes', 'all', '--raw'];
  const { stdout } = await call(['generate-access-token', ...token]);
  // To root it says something about being root before.
  return stdout.trim().split('\n').at(-1) ?? '';
}

async function createRealGitea(
  url: string,
  adminToken: string,
  stop: () => Promise<void>,
): Promise<RealGitea> {
  const { version } = (await call(url, '/version', { authorization: `token ${adminToken}` })).json as {
    version: string;
  };
  const logins: string[] = [];
  const administer = (path: string, sent: SentRequest) =>
    call(url, `/admin${path}`, { authorization: `token ${adminToken}`, ...sent });
  return {
    url,
    version,
    async createAccount() {
      const login = `gitlink-${randomBytes(4).toString('hex')}`;
      const password = randomBytes(12).toString('hex');
      const email = `${login}@example.invalid`;
      await administer('/users', { json: { username: login, email, password, must_change_password: false } });
      logins.push(login);
      return createAccount(url, login, password);
    },
    async stop() {
      for (const login of logins) await administer(`/users/${login}?purge=true`, { method: 'DELETE' });
      await stop();
    },
  };
}

function createAccount(url: string, login: string, password: string): GiteaAccount {
  const authorization = `Basic ${btoa(`${login}:${password}`)}`;
  const ask = (path: string, json?: unknown) =>
    call(url, path, { authorization, ...(json === undefined ? {} : { json }) });
  return {
    login,
    password,
    async createToken(scopes) {
      const name = randomBytes(4).toString('hex');
      const { json } = await ask(`/users/${login}/tokens`, { name, scopes });
      return (json as { sha1: string }).sha1;
    },
    async createOrganization(name) {
      await ask('/orgs', { username: name });
    },
    async createRepository(owner, name) {
      const path = owner === login ? '/user/repos' : `/orgs/${owner}/repos`;
      await ask(path, { name, private: true, auto_init: true, default_branch: 'main' });
    },
    listHooks: async (fullName) => (await ask(`/repos/${fullName}/hooks`)).json as readonly RealHook[],
    readFile: async (fullName, path) => (await ask(`/repos/${fullName}/raw/${path}`)).text,
  };
}

/** @throws Error for any answer but 2xx: then the test cannot go on. */
async function call(url: string, path: string, sent: SentRequest): Promise<GotResponse> {
  const answer = await sendRequest(`${url}/api/v1${path}`, sent);
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw new Error(`${url} answers ${path} with ${answer.status}: ${answer.text}`);
}
