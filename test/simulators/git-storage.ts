import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  bareGitEnvironment,
  createBareRepository,
  createGitHttpBackend,
} from '../support/git-http-backend.ts';

/** What must be known of a repository to make it. */
export interface StoredRepository {
  readonly id: number;
  readonly empty: boolean;
  /** What the first commit holds. */
  readonly files: Readonly<Record<string, string>>;
}

/** The bare repositories of one simulator, made when git first asks for them, kept by the repository's id. */
export interface GitStorage {
  /** Lets git's own server side answer; resolves when the answer is out. */
  serve(incoming: IncomingMessage, response: ServerResponse, what: ServedGit): Promise<void>;
  /** Ref name to object id. */
  listRefs(repository: StoredRepository): Promise<ReadonlyMap<string, string>>;
  close(): Promise<void>;
}

interface ServedGit {
  readonly repository: StoredRepository;
  /** The path below the repository with its query, as `info/refs?service=git-upload-pack`. */
  readonly target: string;
  /** Whoever pushes; git refuses pushes of nobody. */
  readonly user: string | null;
  /** Done before the answer ends, so that whoever pushed finds it done. */
  readonly beforeEnd?: () => Promise<void>;
}

/** What git asks a host for over HTTP, with the method it uses. */
export const gitServices = [
  ['GET', 'info/refs'],
  ['POST', 'git-upload-pack'],
  ['POST', 'git-receive-pack'],
] as const;

/** What a push did to one ref. */
export interface RefChange {
  readonly ref: string;
  /** All zeros for a ref that was not there. */
  readonly before: string;
  /** All zeros for a ref that is gone. */
  readonly after: string;
}

const noObject = '0'.repeat(40);

/** Compares the refs of a repository around a push. */
export function listRefChanges(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly RefChange[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((ref) => ({ ref, before: before.get(ref) ?? noObject, after: after.get(ref) ?? noObject }))
    .filter((change) => change.before !== change.after);
}

const run = promisify(execFile);

/** Builds the storage; nothing is written before the first use. */
export function createGitStorage(): GitStorage {
  let root: Promise<string> | undefined;
  const made = new Map<number, Promise<string>>();

  const open = (repository: StoredRepository): Promise<string> => {
    root ??= mkdtemp(join(tmpdir(), 'gitlink-simulator-'));
    const folder = made.get(repository.id) ?? root.then((parent) => createFolder(parent, repository));
    made.set(repository.id, folder);
    return folder;
  };

  return {
    serve: async (incoming, response, { repository, target, user, beforeEnd }) => {
      const folder = await open(repository);
      const serveGit = createGitHttpBackend({ projectRoot: folder, authenticate: () => ({ user }) });
      incoming.url = `/bare.git/${target}`;
      if (beforeEnd) holdEnd(response, beforeEnd);
      serveGit(incoming, response);
      await once(response, 'close');
    },
    listRefs: async (repository) => {
      const folder = join(await open(repository), 'bare.git');
      const { stdout } = await run(
        'git',
        ['-C', folder, 'for-each-ref', '--format=%(refname) %(objectname)'],
        {
          env: bareGitEnvironment,
        },
      );
      const lines = stdout.split('\n').filter(Boolean);
      return new Map(lines.map((line) => line.split(' ') as [string, string]));
    },
    close: async () => {
      await Promise.allSettled(made.values());
      if (root) await rm(await root, { recursive: true, force: true });
    },
  };
}

function holdEnd(response: ServerResponse, work: () => Promise<void>): void {
  const end = response.end.bind(response);
  response.end = (...rest: unknown[]) => {
    work().then(
      () => end(...(rest as Parameters<typeof end>)),
      (error: unknown) => response.destroy(error as Error),
    );
    return response;
  };
}

async function createFolder(parent: string, { id, empty, files }: StoredRepository): Promise<string> {
  const folder = join(parent, String(id));
  const bare = join(folder, 'bare.git');
  if (!empty) createBareRepository(bare, { files });
  else
    await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', bare], {
      env: bareGitEnvironment,
    });
  return folder;
}
