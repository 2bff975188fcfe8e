import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startGiteaSimulator, type GiteaSimulator } from '../simulators/gitea/server.ts';
import type { GiteaWorld } from '../simulators/gitea/world.ts';

/** `npm run demo`: the whole life of a link against a simulated Gitea, with the real executable and the real git. */

const world: GiteaWorld = {
  users: [{ login: 'ada', fullName: 'Ada Lovelace' }],
  organizations: [{ name: 'acme', members: { ada: 'owner' } }],
  repositories: [
    { owner: 'acme', name: 'api', private: true },
    { owner: 'acme', name: 'web', private: true },
    { owner: 'acme', name: 'old', private: true, archived: true },
    { owner: 'ada', name: 'notes', private: true },
  ],
};
const scopes = ['read:user', 'read:organization', 'write:repository'];

/** The command line of `--on-secret`: a receiver that accepts two secrets while hooks are changed. */
const tellReceiver = `import { readFileSync, renameSync, writeFileSync } from 'node:fs';

if (process.env.GITLINK_PHASE === 'new') writeFileSync('next-secret.txt', readFileSync(0)); // accept it, too
else renameSync('next-secret.txt', 'secret.txt'); // retire: accept no other any more
`;

interface Stage {
  /** Everything that the demo writes is in here. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly gitea: GiteaSimulator;
  readonly receiver: Receiver;
  readonly signal: AbortSignal;
}

interface CommandWishes {
  /** Where standard output goes instead of the screen. */
  readonly saveTo?: string;
  /** A command that has to fail. */
  readonly fails?: boolean;
}

const project = resolve('.');
const executable = join(project, 'bin/gitlink.js');
const columns = process.stdout.columns || 100;
/** gitlink writes tables for people to a terminal only. Where `script` can make one, they are shown. */
const hasScript = canRun('script', [
  '--quiet',
  '--return',
  '--command',
  'test -t 1 && stty cols 80',
  '/dev/null',
]);

async function main(): Promise<number> {
  // What the build writes last.
  if (!existsSync(join(project, 'dist/THIRD-PARTY-LICENSES.txt'))) {
    say('Building gitlink first…\n');
    execFileSync(process.execPath, [join(project, 'test/tools/build.mjs')], { stdio: 'inherit' });
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  process.stdout.on('error', () => stop.abort());
  const folder = await mkdtemp(join(tmpdir(), 'gitlink-demo-'));
  const gitea = await startGiteaSimulator({ world });
  const receiver = await startReceiver(folder);
  try {
    await play({ folder, env: toEnvironment(folder), gitea, receiver, signal: stop.signal });
    gitea.assertNoFailures();
    return 0;
  } catch (error) {
    say(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await Promise.all([gitea.close(), receiver.close()]);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Nothing of the machine's own configuration: neither git's nor a proxy, nor another gitlink's. */
function toEnvironment(folder: string): Record<string, string> {
  const inherited = ['PATH', 'SystemRoot', 'TMPDIR', 'TEMP', 'TMP'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...(Object.fromEntries(inherited) as Record<string, string>),
    HOME: folder,
    GITLINK_CONFIG_DIR: join(folder, '.config', 'gitlink'),
    GITLINK_PASSPHRASE: 'the passphrase of the demo',
    NO_COLOR: '1',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ada Lovelace',
    GIT_AUTHOR_EMAIL: 'ada@acme.test',
    GIT_COMMITTER_NAME: 'Ada Lovelace',
    GIT_COMMITTER_EMAIL: 'ada@acme.test',
  };
}

async function play(stage: Stage): Promise<void> {
  const { folder, gitea, receiver } = stage;
  const gitlink = (args: readonly string[], wishes?: CommandWishes) =>
    runCommand(stage, 'gitlink', args, wishes);
  const git = (args: readonly string[], wishes?: CommandWishes) => runCommand(stage, 'git', args, wishes);
  const token = gitea.addToken({ user: 'ada', scopes }).secret;
  await writeFile(join(folder, 'token.txt'), `${token}\n`, { mode: 0o600 });
  await writeFile(join(folder, 'tell-receiver.mjs'), tellReceiver);

  say(`The life of a link, from a token to its end.

A simulated Gitea listens on ${gitea.url}, a receiver of webhooks on ${receiver.url}.
Nothing leaves this machine. All files are in a temporary folder, which is removed at the end.
Secrets are kept in the encrypted file, opened by GITLINK_PASSPHRASE, so that no keychain is needed.`);

  title('Connect an account: Ada made a token on the web and saved it as token.txt');
  await gitlink(['link', 'gitea', '--host', gitea.url, '--token-file', 'token.txt', '--store', 'file']);
  await rm(join(folder, 'token.txt'));
  await gitlink(['list']);
  await gitlink(['show', 'gitea']);
  await gitlink(['repos', 'gitea']);

  title('Limit what the link may be used for');
  await gitlink(['restrict', 'gitea', 'acme']);
  await gitlink(['repos', 'gitea']);

  title('Webhooks: one in every repository, with a secret, each tested');
  await gitlink(['regenerate-webhooks', 'gitea', '--url', receiver.url, '--allow-http', '--verify']);
  await showDeliveries(stage, ['kept', 'kept']);
  await gitlink(['webhook-secret', 'gitea'], { saveTo: 'secret.txt' });
  receiver.judgeKept();
  await showDeliveries(stage, ['verified', 'verified']);

  title('Git: clone and push with the account of the link');
  await gitlink(['setup-git']);
  await git(['clone', `${gitea.url}/acme/api.git`]);
  await git(['-C', 'api', 'commit', '--quiet', '--allow-empty', '--message', 'Try the webhook']);
  await git(['-C', 'api', 'push']);
  await showDeliveries(stage, ['verified']);
  say('\nada/notes is outside of the restriction, so git gets no credential for it:');
  await git(['clone', `${gitea.url}/ada/notes.git`], { fails: true });

  title('A new secret everywhere: the receiver is told before and after');
  say(`\n$ cat tell-receiver.mjs\n${tellReceiver.trimEnd()}`);
  const onSecret = ['--on-secret', 'node tell-receiver.mjs'];
  await gitlink(['regenerate-webhooks', 'gitea', '--verify', ...onSecret]);
  await showDeliveries(stage, ['verified with the next secret', 'verified with the next secret']);
  await git(['-C', 'api', 'commit', '--quiet', '--allow-empty', '--message', 'Try the new secret']);
  await git(['-C', 'api', 'push']);
  await showDeliveries(stage, ['verified']);

  title('Take it all back');
  await gitlink(['unlink', 'gitea', '--revoke', '--yes']);
  await gitlink(['list']);
  const hooks = ['acme/api', 'acme/web'].flatMap((fullName) => gitea.hooksOf(fullName));
  if (hooks.length > 0 || gitea.state.tokens.has(token)) throw new Error('something was left at the host');
  say('\nThe simulated Gitea has no webhook of gitlink any more, and does not know the token.');
}

/** Prints a command as one would type it, runs it, and prints what it prints, in the order in which it does. */
async function runCommand(
  { folder, env, signal }: Stage,
  program: 'git' | 'gitlink',
  args: readonly string[],
  { saveTo, fails = false }: CommandWishes = {},
): Promise<void> {
  const typed = [program, ...args].map(quote).join(' ');
  say(`\n$ ${typed}${saveTo === undefined ? '' : ` > ${saveTo}`}`);
  const isForScreen = program === 'gitlink' && saveTo === undefined && hasScript;
  const plain = program === 'git' ? ['git', ...args] : [process.execPath, executable, ...args];
  const [file = '', ...rest] = isForScreen ? toScriptCommand(plain) : plain;
  // One file for both streams keeps their order, which two pipes would not.
  const log = await open(join(folder, '.output'), 'w+');
  const saved = saveTo === undefined ? log : await open(join(folder, saveTo), 'w', 0o600);
  try {
    const child = spawn(file, rest, { cwd: folder, env, signal, stdio: ['ignore', saved.fd, log.fd] });
    const exitCode = await new Promise<number | null>((done, reject) => {
      child.once('error', reject);
      child.once('close', done);
    });
    const output = toScreen(await readFile(join(folder, '.output'), 'utf8'));
    if (output !== '') say(output);
    if ((exitCode === 0) === fails) throw new Error(`"${typed}" ended with ${exitCode ?? 'a signal'}`);
  } finally {
    await log.close();
    if (saved !== log) await saved.close();
  }
}

/** The same command in a terminal of its own, in which nobody can be asked. */
function toScriptCommand(command: readonly string[]): readonly string[] {
  const line = `stty cols ${columns}; exec ${command.map(quote).join(' ')} </dev/null`;
  return ['script', '--quiet', '--return', '--command', line, '/dev/null'];
}

/** What stays on a screen: status lines were erased. */
function toScreen(output: string): string {
  return output
    .replaceAll('\r\n', '\n')
    .replace(/.*\r\u001b\[2K/g, '')
    .trimEnd();
}

function canRun(file: string, args: readonly string[]): boolean {
  return spawnSync(file, args, { stdio: 'ignore' }).status === 0;
}

function quote(word: string): string {
  return /^[\w./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

type Verdict = 'kept' | 'verified' | 'verified with the next secret' | 'REFUSED';

interface Delivery {
  readonly repository: string;
  readonly body: string;
  readonly signature: string;
  verdict: Verdict;
}

interface Receiver {
  readonly url: string;
  /** Deliveries whose verdict was not shown yet, taken out. */
  takeNews(): readonly Delivery[];
  /** Looks again at what came before the receiver knew a secret. */
  judgeKept(): void;
  close(): Promise<void>;
}

/** Starts a receiver that knows the secrets in `secret.txt` and `next-secret.txt`, and judges what arrives at once. */
async function startReceiver(folder: string): Promise<Receiver> {
  const deliveries: Delivery[] = [];
  let news: Delivery[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const { repository } = JSON.parse(body) as { repository: { full_name: string } };
      const signature = String(request.headers['x-gitea-signature']);
      const verdict = judge(folder, body, signature);
      const delivery = { repository: repository.full_name, body, signature, verdict };
      deliveries.push(delivery);
      news.push(delivery);
      response.writeHead(verdict === 'REFUSED' ? 401 : 200).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    takeNews() {
      const taken = news;
      news = [];
      return taken;
    },
    judgeKept() {
      for (const delivery of deliveries.filter(({ verdict }) => verdict === 'kept')) {
        delivery.verdict = judge(folder, delivery.body, delivery.signature);
        news.push(delivery);
      }
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function judge(folder: string, body: string, signature: string): Verdict {
  const [current, next] = ['secret.txt', 'next-secret.txt'].map((name) => {
    const path = join(folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
  });
  const isSignedWith = (secret: string | null | undefined) =>
    secret != null && createHmac('sha256', secret).update(body).digest('hex') === signature;
  if (isSignedWith(current)) return 'verified';
  if (isSignedWith(next)) return 'verified with the next secret';
  return current === null && next === null ? 'kept' : 'REFUSED';
}

/** Prints what the receiver says, once everything on its way has arrived. */
async function showDeliveries({ gitea, receiver }: Stage, expected: readonly Verdict[]): Promise<void> {
  await gitea.settle();
  const news = receiver.takeNews();
  for (const { repository, verdict } of news) {
    const words = verdict === 'kept' ? 'kept until the receiver knows the secret' : `signature ${verdict}`;
    say(`  receiver: push of ${repository}, ${words}`);
  }
  const verdicts = news.map(({ verdict }) => verdict);
  if (verdicts.join() !== expected.join()) throw new Error('the receiver did not get what it should have');
}

let titles = 0;

function title(text: string): void {
  titles += 1;
  say(`\n\n${titles}. ${text}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

process.exitCode = await main();
