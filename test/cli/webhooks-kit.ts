import { expect } from 'vitest';
import type { GiteaSimulator } from '../simulators/gitea/server.ts';
import { fullNameOf, type GiteaHook } from '../simulators/gitea/state.ts';
import { type GiteaWorld } from '../simulators/gitea/world.ts';
import type { Linked } from '../support/linked.ts';
import type { Run, RunOptions, Sandbox } from '../support/sandbox.ts';

/** What the tests of webhooks share. */

/** Nothing is ever delivered there: the simulator does not leave the machine. */
export const receiverUrl = 'https://ci.acme.example/hook';

/** Four repositories that ada administers, and nothing else. */
export const fourRepositories: GiteaWorld = {
  users: [{ login: 'ada' }],
  repositories: [{ owner: 'ada', name: 'site', count: 4 }],
};

export interface WebhookDocument {
  readonly schema: number;
  readonly target: { readonly url: string; readonly events: readonly string[]; readonly at: string };
  readonly results: readonly {
    readonly repository: string;
    readonly action: string;
    readonly state: string;
    readonly reason: string | null;
    readonly hookId: string | null;
  }[];
  readonly summary: Readonly<Record<string, number>>;
}

/** Runs `regenerate-webhooks --json`. */
export function regenerate(
  { sandbox }: Pick<Linked, 'sandbox'>,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Run> {
  return sandbox.run(['regenerate-webhooks', '--json', ...args], options);
}

/** Makes the first hooks, as every later rotation needs them. Returns their secret. */
export async function createHooks(linked: Linked, args: readonly string[] = []): Promise<string> {
  const run = await regenerate(linked, ['--url', receiverUrl, ...args]);
  expect(run).toMatchObject({ exitCode: 0 });
  linked.gitea.clearRequests();
  return Object.values(listHooks(linked.gitea))[0]?.[0]?.secret ?? '';
}

/** What became of each repository, as `action state`. */
export function outcomesOf(run: Run): Record<string, string> {
  const { results } = run.json<WebhookDocument>();
  return Object.fromEntries(
    results.map(({ repository, action, state }) => [repository, `${action} ${state}`]),
  );
}

/** The secret that gitlink gives to the receiver; null where there is none. */
export async function readSecret(sandbox: Sandbox, ...flags: readonly string[]): Promise<string | null> {
  const run = await sandbox.run(['webhook-secret', ...flags]);
  if (run.exitCode === 5) return null;
  expect(run).toMatchObject({ exitCode: 0 });
  return run.stdout.trimEnd();
}

/** The hooks of every repository that has some. */
export function listHooks(gitea: GiteaSimulator): Record<string, readonly GiteaHook[]> {
  const names = [...gitea.state.repositories.values()].map(fullNameOf);
  const pairs = names.map((name) => [name, gitea.hooksOf(name)] as const);
  return Object.fromEntries(pairs.filter(([, hooks]) => hooks.length > 0));
}

/**
 * Exactly one enabled hook in each of these repositories, all with the same secret, and none anywhere else.
 *
 * @returns the secret.
 */
export function expectOneHookEach(gitea: GiteaSimulator, repositories: readonly string[]): string {
  const hooks = listHooks(gitea);
  const [secret = ''] = Object.values(hooks).map(([hook]) => hook?.secret);
  expect(secret).not.toBe('');
  const found = Object.entries(hooks).map(([name, each]) => [
    name,
    each.map((hook) => ({ active: hook.active, secret: hook.secret, url: hook.url })),
  ]);
  const one = [{ active: true, secret, url: receiverUrl }];
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(repositories.map((name) => [name, one])));
  return secret;
}

export const fourNames = ['ada/site-0001', 'ada/site-0002', 'ada/site-0003', 'ada/site-0004'];

/** The changes that the host was asked for, as `METHOD path`, in the order of their arrival. */
export function listWrites({ requests }: Pick<GiteaSimulator, 'requests'>): string[] {
  return requests.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`);
}

/** Adds a hook that somebody else, or an earlier gitlink, made. */
export function addHook(
  gitea: GiteaSimulator,
  fullName: string,
  settings: Partial<
    Pick<GiteaHook, 'url' | 'active' | 'name' | 'contentType' | 'branchFilter' | 'type'>
  > = {},
): GiteaHook {
  const repository = [...gitea.state.repositories.values()].find((each) => fullNameOf(each) === fullName);
  if (!repository) throw new Error(`No simulated repository ${fullName}.`);
  const hook: GiteaHook = {
    id: gitea.state.nextId('hook'),
    level: 'repository',
    placeId: repository.id,
    type: 'gitea',
    url: receiverUrl,
    contentType: 'json',
    secret: 'canary-secret-of-somebody-else',
    events: ['push'],
    branchFilter: '*',
    authorizationHeader: '',
    active: true,
    name: '',
    createdAt: new Date(),
    updatedAt: new Date(),
    ...settings,
  };
  gitea.state.hooks.add(hook);
  return hook;
}

/** Resolves as soon as a condition holds. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 1));
}
