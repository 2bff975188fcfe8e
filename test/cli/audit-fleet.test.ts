import { afterEach, describe, expect, test } from 'vitest';
import type { LinkRecord, Records } from '../../src/store/link-schema.ts';
import { recordUsage } from '../../src/store/usage-log.ts';
import { addToken, startGitea, usualScopes } from '../support/linked.ts';
import {
  accessScopes,
  linkArgs,
  linkDcArgs,
  startBitbucket,
  startBitbucketDc,
} from '../support/linked-bitbucket.ts';
import { linkArgs as linkAzureArgs, startAzureDevops } from '../support/linked-azure-devops.ts';
import { startGithub } from '../support/linked-github.ts';
import { startGitlab, usualScopes as gitlabScopes } from '../support/linked-gitlab.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';
import { changeRecords, readRecords } from './doctor-kit.ts';

const dayMs = 24 * 60 * 60 * 1000;

interface Finding {
  readonly severity: string;
  readonly code: string;
  readonly link: string | null;
}

/** What every provider's links are made to have, each in a copy of its own; three copies have nothing. */
const faults: readonly {
  readonly suffix: string;
  readonly change: Partial<LinkRecord>;
  readonly expected: readonly string[];
  readonly usedAt?: number;
}[] = [
  { suffix: 'quiet-1', change: {}, expected: [] },
  { suffix: 'quiet-2', change: {}, expected: [] },
  {
    suffix: 'in-use',
    change: { createdAt: Date.now() - 100 * dayMs },
    usedAt: Date.now() - dayMs,
    expected: [],
  },
  { suffix: 'no-secret', change: { credentialItem: 'credential.gone' }, expected: ['error secret-missing'] },
  { suffix: 'away', change: { host: 'http://127.0.0.1:1' }, expected: ['warning unreachable'] },
  { suffix: 'half', change: { status: 'unlinking' }, expected: ['warning unlinking'] },
  { suffix: 'unused', change: { createdAt: Date.now() - 100 * dayMs }, expected: ['warning unused'] },
  {
    suffix: 'idle',
    change: { createdAt: Date.now() - 300 * dayMs },
    usedAt: Date.now() - 91 * dayMs,
    expected: ['warning unused'],
  },
  {
    suffix: 'deaf',
    change: {
      webhook: {
        url: 'http://ci.acme.example/hook',
        events: ['push'],
        at: 'repositories',
        regeneratedAt: null,
        secretItem: null,
        nextSecretItem: null,
      },
    },
    expected: ['warning webhook-missing', 'warning webhook-plain-http'],
  },
];

describe('audit of a fleet', () => {
  test('one run over 60 links of six providers names every seeded fault, and nothing else', async () => {
    const sandbox = createSandbox();
    const link = await startHosts(sandbox);
    await link();
    const own = readRecords(sandbox).links;
    expect(own).toHaveLength(6);

    // What is true of the links as they were made: told apart from what is seeded.
    const before = groupByLink(await audit(sandbox));
    seed(sandbox);
    const found = groupByLink(await audit(sandbox));
    expect(readRecords(sandbox).links).toHaveLength(60);

    const expected: Record<string, readonly string[]> = {};
    for (const { name, account } of own) {
      const usual = before[name] ?? [];
      if (usual.length > 0) expected[name] = usual;
      for (const { suffix, expected: seeded } of faults) {
        const isDown = ['no-secret', 'away', 'half'].includes(suffix);
        // A person's account that works for programs is a finding of its own.
        const isPersonal = suffix === 'deaf' && account.kind === 'user';
        const all = [...seeded, ...(isDown ? [] : usual), ...(isPersonal ? ['info personal-account'] : [])];
        if (all.length > 0) expected[`${name}-${suffix}`] = all.sort();
      }
    }
    expect(found).toEqual(expected);
    // Of the links as they were made there is nothing that is wrong.
    expect(Object.values(before).flat()).not.toContainEqual(expect.stringMatching(/^error/));
  }, 60_000);
});

async function audit(sandbox: Sandbox): Promise<readonly Finding[]> {
  const run = await sandbox.run(['audit', '--json']);
  expect(run.exitCode, run.stderr).toBe(0);
  return run.json<{ readonly findings: readonly Finding[] }>().findings;
}

function groupByLink(findings: readonly Finding[]): Record<string, readonly string[]> {
  const found: Record<string, string[]> = {};
  for (const { severity, code, link } of findings) (found[link ?? ''] ??= []).push(`${severity} ${code}`);
  for (const codes of Object.values(found)) codes.sort();
  return found;
}

/** Makes nine copies of each link, of which six have a fault. */
function seed(sandbox: Sandbox): void {
  let number = 0;
  const used: { readonly id: string; readonly at: number }[] = [];
  changeRecords(sandbox, (records: Records) => ({
    ...records,
    links: records.links.flatMap((link) => [
      link,
      ...faults.map(({ suffix, change, usedAt }): LinkRecord => {
        const id = `00000000-0000-4000-8000-${String((number += 1)).padStart(12, '0')}`;
        if (usedAt !== undefined) used.push({ id, at: usedAt });
        return { ...link, id, name: `${link.name}-${suffix}`, ...change };
      }),
    ]),
  }));
  for (const { id, at } of used) {
    recordUsage(sandbox.stateDirectory, { linkId: id, at, by: 'git', path: null });
  }
}

const secrets = new Map<Sandbox, readonly string[]>();
afterEach(() => {
  for (const [sandbox, values] of secrets) for (const value of values) sandbox.guard(value);
  secrets.clear();
});

/** Starts a host of each provider. @returns links them all, limited to one namespace each. */
async function startHosts(sandbox: Sandbox): Promise<() => Promise<void>> {
  const gitea = await startGitea();
  const gitlab = await startGitlab();
  const github = await startGithub();
  const bitbucket = await startBitbucket();
  const dc = await startBitbucketDc();
  const azure = await startAzureDevops();
  const giteaToken = addToken(gitea, usualScopes);
  const gitlabToken = gitlab.addToken({ scopes: gitlabScopes }).secret;
  const githubToken = github.addToken().secret;
  const cloudToken = bitbucket.addToken({ kind: 'workspace', resource: 'acme', scopes: accessScopes }).secret;
  const dcToken = dc.addToken({}).secret;
  const azureToken = azure.addToken().secret;
  secrets.set(sandbox, [giteaToken, gitlabToken, githubToken, cloudToken, dcToken, azureToken]);
  const links: readonly (readonly [args: readonly string[], token: string])[] = [
    [['link', 'gitea', '--host', gitea.url, '--namespace', 'acme'], giteaToken],
    [['link', 'gitlab', '--host', gitlab.url, '--namespace', 'acme'], gitlabToken],
    [['link', 'github', '--host', github.url, '--namespace', 'acme'], githubToken],
    [linkArgs(bitbucket, '--namespace', 'acme'), cloudToken],
    [linkDcArgs(dc, '--namespace', 'WEB'), dcToken],
    [linkAzureArgs(azure, '--namespace', 'acme/Platform'), azureToken],
  ];
  return async () => {
    for (const [args, token] of links) {
      const run = await sandbox.run([...args, '--with-token'], { input: `${token}\n` });
      expect(run.exitCode, `${args.join(' ')}\n${run.stderr}`).toBe(0);
    }
  };
}
