import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { requireOrganization } from '../simulators/azure-devops/state.ts';
import { guardAll as guardAzure, startAzureDevops } from '../support/linked-azure-devops.ts';
import { apiScopes, guardAll, startBitbucket } from '../support/linked-bitbucket.ts';
import { addToken, startGitea, usualScopes } from '../support/linked.ts';
import { createGithubSandbox, pickKeyLine, startGithub } from '../support/linked-github.ts';
import { createGitlabSandbox, startGitlab } from '../support/linked-gitlab.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

const project = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(project, 'README.md'), 'utf8');
const hookSecret = 'canary-secret-of-the-receiver';

/** What a recipe of the README says. */
interface Recipe {
  /** One for each process that the CI system starts. */
  readonly scripts: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

/** Reads the YAML below a heading: the few forms that the recipes have, and nothing else. */
function readRecipe(system: string): Recipe {
  const section = readme.split(`\n### ${system}\n`)[1] ?? '';
  const lines = (/```yaml\n(.*?)```/s.exec(section)?.[1] ?? '').split('\n');
  // A hyphen does not count: what is below a key stands further right than the key.
  const indent = (line: string): number => line.search(/[^\s-]|$/);
  const below = (start: number): readonly string[] => {
    const [line = '', ...after] = lines.slice(start);
    const end = after.findIndex((next) => next.trim() !== '' && indent(next) <= indent(line));
    return (end === -1 ? after : after.slice(0, end)).map((next) => next.trim());
  };
  const scripts = lines.flatMap((line, index): string[] => {
    const [, one] = /^\s*(?:- )?(?:run|script): (?!\|)(.+)$/.exec(line) ?? [];
    if (one !== undefined) return [one];
    if (/^\s*- script: \|$/.test(line)) return [below(index).join('\n')];
    if (!/^\s*script:$/.test(line)) return [];
    // One shell runs the whole list.
    return [
      below(index)
        .map((item) => item.replace(/^- /, ''))
        .join('\n'),
    ];
  });
  const variables = lines.flatMap((line) => {
    const [, name, value] = /^\s*([A-Z][A-Z_]+): (.+)$/.exec(line) ?? [];
    return name !== undefined && value !== undefined ? [[name, value] as const] : [];
  });
  return { scripts, variables: Object.fromEntries(variables) };
}

/** What the CI system makes of the values of variables. */
function fillIn(
  { variables }: Recipe,
  settings: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => {
      const [, setting] =
        /^(?:\$\{\{ (?:secrets|vars)\.(\w+) \}\}|\$\((\w+)\))$/.exec(value)?.filter(Boolean) ?? [];
      if (setting === undefined) return [name, value];
      const found = settings[setting];
      if (found === undefined) throw new Error(`The recipe asks for ${setting}, which nobody set.`);
      return [name, found];
    }),
  );
}

interface Job {
  readonly sandbox: Sandbox;
  readonly host: string;
  /** What a person set in the CI system. */
  readonly settings: Readonly<Record<string, string>>;
  /** Whether every job has the settings as variables, without a word in the YAML. */
  readonly areVariables?: boolean;
  /** What the CI system itself sets. */
  readonly system: Readonly<Record<string, string>>;
}

/** Runs a recipe as a job: no terminal, no keychain, an empty home; returns the folder it ran in. */
async function runRecipe(
  name: string,
  job: Job,
): Promise<{ readonly runs: readonly Run[]; readonly cwd: string }> {
  const { sandbox } = job;
  const recipe = readRecipe(name);
  expect(recipe.scripts.length).toBeGreaterThan(0);
  const cwd = join(sandbox.home, 'workspace');
  mkdirSync(cwd);
  writeFileSync(
    join(sandbox.home, 'bin/gitlink'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(project, 'bin/gitlink.js')}' "$@"\n`,
    { mode: 0o755 },
  );
  writeFileSync(join(cwd, 'release.sh'), release, { mode: 0o755 });
  const env = {
    CI: 'true',
    ...job.system,
    ...(job.areVariables === true ? job.settings : {}),
    ...fillIn(recipe, job.settings),
    GITLINK_HOST: job.host,
  };
  const runs = [];
  for (const script of recipe.scripts) {
    const run = await sandbox.runProgram('bash', ['-e', '-c', script], { env, cwd });
    expect(run, `${script}\n${run.stdout}\n${run.stderr}`).toMatchObject({ exitCode: 0 });
    runs.push(run);
  }
  return { runs, cwd };
}

/**
 * A script of the project: it asks the API with the token that it is given, and keeps that out of its arguments. The
 * simulator wants to know who asks.
 */
const release = `#!/bin/sh -eu
test -z "\${GITLINK_TOKEN_FILE:-}"
printf 'Authorization: Bearer %s' "$GITLAB_TOKEN" |
  curl --user-agent gitlink/release --fail --silent --show-error --header @- "$CI_SERVER_URL/api/v4/projects/acme%2Fapi" >project.json
`;

/** What gitlink left in the home: nothing, ever; git's own configuration is git's. */
function listTraces({ home }: Sandbox): readonly string[] {
  return readdirSync(home).filter((name) => !['bin', 'workspace', '.gitconfig'].includes(name));
}

/** What git's own configuration said before a job is replaced without a copy, so a person is told. */
async function setUpTwice(config: string): Promise<readonly string[]> {
  const gitea = await startGitea();
  const sandbox = createSandbox({ store: 'keychain' });
  const token = sandbox.guard(addToken(gitea, usualScopes));
  const env = { GITLINK_PROVIDER: 'gitea', GITLINK_HOST: gitea.url, GITLINK_TOKEN: token };
  writeFileSync(join(sandbox.home, '.gitconfig'), config.replace('HOST', gitea.url));
  const first = await sandbox.run(['setup-git'], { env });
  const second = await sandbox.run(['setup-git', '--json'], { env });
  expect(second.json()).toEqual({ schema: 1, hosts: [gitea.url], link: null });
  expect(listTraces(sandbox)).toEqual([]);
  return [first, second].map(({ stderr }) => (stderr.includes('nothing is kept') ? 'warned' : 'silent'));
}

describe('the recipes for CI in the README', () => {
  test.each([
    ['', ['silent', 'silent']],
    ['[credential "HOST"]\n\thelper = cache\n', ['warned', 'silent']],
  ])('setup-git in a job, twice, after %j: says once what goes', async (config, talk) => {
    expect(await setUpTwice(config)).toEqual(talk);
  });

  test('GitHub Actions: an App clones another private repository', async () => {
    const github = await startGithub();
    const sandbox = createGithubSandbox(github, { store: 'keychain' });
    const { app, pem } = github.addApp({ owner: 'acme' });
    const installation = github.install(app, { account: 'acme' });
    sandbox.guard(pickKeyLine(pem));
    const settings = {
      GITLINK_APP_ID: String(app.id),
      GITLINK_APP_INSTALLATION: String(installation.id),
      GITLINK_APP_PRIVATE_KEY: pem,
    };
    const system = { GITHUB_ACTIONS: 'true' };
    const { cwd } = await runRecipe('GitHub Actions', { sandbox, host: github.url, settings, system });
    expect(existsSync(join(cwd, 'web/README.md'))).toBe(true);
    expect(github.requests.filter(({ path }) => path.endsWith('/access_tokens'))).not.toEqual([]);
    expect(readFileSync(join(sandbox.home, '.gitconfig'), 'utf8').trim()).toBe('');
    expect(listTraces(sandbox)).toEqual([]);
  });

  test('GitLab CI: a script gets a token for one run', async () => {
    const gitlab = await startGitlab();
    const sandbox = createGitlabSandbox(gitlab, { store: 'keychain' });
    const { secret } = gitlab.addToken({ scopes: ['api', 'read_repository'] });
    const settings = { GITLINK_TOKEN: secret };
    const system = { GITLAB_CI: 'true', CI_SERVER_URL: gitlab.url };
    const job = { sandbox, host: gitlab.url, settings, system, areVariables: true };
    const { cwd, runs } = await runRecipe('GitLab CI', job);
    expect(readFileSync(join(cwd, 'project.json'), 'utf8')).toContain('"path_with_namespace":"acme/api"');
    expect(runs.map(({ stdout }) => stdout).join('')).toMatch(/^env\tgitlab\t.*\tok$/m);
    expect(listTraces(sandbox)).toEqual([]);
  });

  test('Bitbucket Pipelines: all webhooks of a workspace get the secret of the receiver', async () => {
    const bitbucket = await startBitbucket();
    const sandbox = guardAll(createSandbox({ store: 'keychain' }), bitbucket);
    sandbox.guard(hookSecret);
    const { secret } = bitbucket.addToken({ kind: 'api', scopes: apiScopes });
    const settings = { GITLINK_TOKEN: secret, GITLINK_EMAIL: 'ada@acme.test', HOOK_SECRET: hookSecret };
    const job = { sandbox, host: bitbucket.url, settings, system: {}, areVariables: true };
    await runRecipe('Bitbucket Pipelines', job);
    expect(bitbucket.hooksOf('acme/api').map((hook) => hook.secret)).toEqual([hookSecret]);
    expect(bitbucket.hooksOf('ada/notes')).toEqual([]);
    expect(listTraces(sandbox)).toEqual([]);
  });

  test('Azure Pipelines: a service principal clones another repository and audits', async () => {
    const azure = await startAzureDevops();
    const sandbox = createSandbox({ store: 'keychain' });
    guardAzure(sandbox, azure);
    const client = azure.oauth.addApplication({ confidential: true, servicePrincipal: 'ci' });
    const settings = {
      ENTRA_TENANT: requireOrganization(azure.state, 'acme').tenant,
      ENTRA_CLIENT_ID: client.clientId,
      ENTRA_CLIENT_SECRET: sandbox.guard(client.secret ?? ''),
    };
    const system = { TF_BUILD: 'True' };
    const { cwd } = await runRecipe('Azure Pipelines', { sandbox, host: azure.url, settings, system });
    expect(readdirSync(join(cwd, 'api'))).toContain('README.md');
    expect(listTraces(sandbox)).toEqual([]);
  });

  test('Gitea Actions: git asks the helper without any setting, and the webhooks get the secret', async () => {
    const gitea = await startGitea();
    const sandbox = createSandbox({ store: 'keychain' });
    sandbox.guard(hookSecret);
    const settings = { GITLINK_TOKEN: sandbox.guard(addToken(gitea, usualScopes)), HOOK_SECRET: hookSecret };
    const { cwd } = await runRecipe('Gitea Actions', { sandbox, host: gitea.url, settings, system: {} });
    expect(existsSync(join(cwd, 'api/README.md'))).toBe(true);
    expect(gitea.hooksOf('acme/api').map((hook) => hook.secret)).toEqual([hookSecret]);
    expect(existsSync(join(sandbox.home, '.gitconfig'))).toBe(false);
    expect(listTraces(sandbox)).toEqual([]);
  });
});
