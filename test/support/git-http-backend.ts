import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a request wants to do with which repository. */
export interface GitRequest {
  /** Decoded, below the base path: `acme/api.git`. */
  readonly repository: string;
  readonly writes: boolean;
}

/** Who the request comes from (`null`: anyone), or the status that refuses it. */
export type GitAccess = { readonly user: string | null } | { readonly refusal: 401 | 403 | 404 };

export interface GitHttpBackendOptions {
  /** The folder with the bare repositories. */
  readonly projectRoot: string;
  /** Taken off the path before the repository is looked up: `''` or `/gitea`. */
  readonly basePath?: string;
  authenticate(this: void, request: IncomingMessage, git: GitRequest): GitAccess | Promise<GitAccess>;
}

/** git without anyone's configuration. */
export const bareGitEnvironment = {
  PATH: process.env['PATH'],
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
};

const gitPath = /^\/(.+?)\/(info\/refs|HEAD|objects\/.+|git-upload-pack|git-receive-pack)$/;

/** Serves bare repositories over http by `git http-backend`, as a Git host does. 404 for any path of another kind. */
export function createGitHttpBackend(
  options: GitHttpBackendOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    serve(options, request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  };
}

async function serve(
  { projectRoot, basePath = '', authenticate }: GitHttpBackendOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const path = decodeURIComponent(url.pathname);
  const [, repository, service = ''] =
    gitPath.exec(path.startsWith(basePath) ? path.slice(basePath.length) : '') ?? [];
  if (repository === undefined) return void response.writeHead(404).end();
  const writes = (url.searchParams.get('service') ?? service) === 'git-receive-pack';
  const access = await authenticate(request, { repository, writes });
  if ('refusal' in access) {
    const challenge = access.refusal === 401 ? { 'WWW-Authenticate': 'Basic realm="git"' } : {};
    return void response.writeHead(access.refusal, challenge).end();
  }
  const environment = {
    ...bareGitEnvironment,
    GIT_PROJECT_ROOT: projectRoot,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: `/${repository}/${service}`,
    QUERY_STRING: url.search.slice(1),
    REQUEST_METHOD: request.method,
    CONTENT_TYPE: request.headers['content-type'],
    CONTENT_LENGTH: request.headers['content-length'],
    HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
    HTTP_GIT_PROTOCOL: request.headers['git-protocol']?.toString(),
    REMOTE_ADDR: request.socket.remoteAddress,
    REMOTE_USER: access.user ?? undefined,
  };
  const git = spawn('git', ['http-backend'], { env: environment, stdio: ['pipe', 'pipe', 'ignore'] });
  // git may have heard enough before the body ends.
  git.stdin.on('error', () => undefined);
  request.pipe(git.stdin);
  await passAnswer(git.stdout, response);
}

/** Turns a CGI answer (RFC 3875 §6) into one of http. */
async function passAnswer(output: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
  let head = Buffer.alloc(0);
  for await (const chunk of output) {
    if (response.headersSent) {
      response.write(chunk);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) continue;
    let status = 200;
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const colon = line.indexOf(':');
      const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
      if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.writeHead(status);
    response.write(head.subarray(end + 4));
  }
  if (!response.headersSent) response.writeHead(500);
  response.end();
}

/**
 * Makes a bare repository with one commit on `main`.
 *
 * @param files - Contents by path.
 */
export function createBareRepository(
  directory: string,
  { files }: { readonly files: Readonly<Record<string, string>> },
): void {
  mkdirSync(directory, { recursive: true });
  runGit(['init', '--quiet', '--bare', '--initial-branch=main', directory]);
  const author = 'Test <test@example.invalid> 1700000000 +0000';
  const commands = ['commit refs/heads/main', `committer ${author}`, toData('First')];
  for (const [path, content] of Object.entries(files))
    commands.push(`M 100644 inline ${path}`, toData(content));
  runGit(['-C', directory, 'fast-import', '--quiet'], `${commands.join('\n')}\n`);
}

function toData(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}`;
}

function runGit(args: readonly string[], input = ''): void {
  const { status, stderr } = spawnSync('git', args, { env: bareGitEnvironment, input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
}
