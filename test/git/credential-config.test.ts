import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  planCredentialSetup,
  planCredentialUndo,
  type ConfigPlan,
  type SetupPlan,
  type SetupRecord,
} from '../../src/git/credential-config.ts';
import { chooseHelperCommand } from '../../src/git/helper-command.ts';
import { createSandbox, openSandbox, type Sandbox } from './sandbox.ts';

const github = 'https://github.com';
const section = '[credential "https://github.com"]\n';
const ours = '\thelper = \n\thelper = gitlink\n\tuseHttpPath = true\n';

async function setUp(
  sandbox: Sandbox,
  options: {
    readonly hosts?: readonly string[];
    readonly helper?: string;
    readonly scope?: 'global' | 'local';
    readonly records?: readonly SetupRecord[];
  } = {},
): Promise<SetupPlan> {
  const { hosts = [github], helper = 'gitlink', scope = 'global', records = [] } = options;
  const plan = await planCredentialSetup({ hosts, helper, scope, records }, sandbox.context);
  await plan.apply();
  return plan;
}

async function undo(sandbox: Sandbox, records: readonly SetupRecord[]): Promise<ConfigPlan> {
  // As the caller keeps them.
  const kept = JSON.parse(JSON.stringify(records)) as SetupRecord[];
  const plan = await planCredentialUndo(kept, sandbox.context);
  await plan.apply();
  return plan;
}

function readConfig(sandbox: Sandbox): string {
  return readFileSync(sandbox.path('.gitconfig'), 'utf8');
}

/** The helpers that git asks for a URL, in order: each notes its name and has no answer. */
async function listAsked(
  sandbox: Sandbox,
  url = `${github}/acme/api.git`,
  cwd = sandbox.home,
): Promise<string[]> {
  for (const name of ['gitlink', 'one', 'two']) {
    sandbox.write(
      `bin/git-credential-${name}`,
      `#!/bin/sh\necho ${name} >> '${sandbox.path('asked')}'\n`,
      0o755,
    );
  }
  sandbox.write('asked', '');
  const withHelpers = openSandbox(sandbox.home, {
    ...sandbox.env,
    PATH: `${sandbox.path('bin')}:${sandbox.env['PATH']}`,
  });
  await withHelpers.git(['credential', 'fill'], { input: `url=${url}\n\n`, cwd });
  return readFileSync(sandbox.path('asked'), 'utf8').split('\n').slice(0, -1);
}

/** What git reads, without the order of its keys. */
async function listSettings(sandbox: Sandbox): Promise<string[]> {
  return (await sandbox.git(['config', '--global', '--list'])).stdout.split('\n').sort();
}

describe('C9: setup of a host', () => {
  it('makes a missing configuration, empty helper first', async () => {
    const sandbox = createSandbox();
    const plan = await setUp(sandbox);
    expect(readConfig(sandbox)).toBe(section + ours);
    expect(plan.changes).toEqual([
      {
        file: sandbox.path('.gitconfig'),
        diff: [
          '+ [credential "https://github.com"]',
          '+ \thelper = ',
          '+ \thelper = gitlink',
          '+ \tuseHttpPath = true',
        ],
      },
    ]);
  });

  it('changes nothing before it is applied, and nothing the second time', async () => {
    const sandbox = createSandbox();
    const first = await planCredentialSetup(
      { hosts: [github], helper: 'gitlink', scope: 'global', records: [] },
      sandbox.context,
    );
    expect(existsSync(sandbox.path('.gitconfig'))).toBe(false);
    await first.apply();
    const second = await setUp(sandbox, { records: first.records });
    expect(second.changes).toEqual([]);
    expect(second.records).toEqual(first.records);
    expect(readConfig(sandbox)).toBe(section + ours);
  });

  it('leaves the rest of the file as it is, to the byte, and so does undo', async () => {
    const sandbox = createSandbox();
    const before =
      '# mine\n[user]\n  name = Möna # here\n\temail=mona@example.invalid\n\n[credential]\n\thelper = store\n' +
      '[alias]\n\tx = "!f() { echo \\"a\\\\b\\"; }; f"\n[credential "https://other.example"]\n\thelper = cache\n';
    sandbox.write('.gitconfig', before);
    const { records } = await setUp(sandbox, { hosts: [github, 'https://git.acme.dev:8443/gitea'] });
    expect(readConfig(sandbox)).toBe(
      `${before}${section}${ours}[credential "https://git.acme.dev:8443/gitea"]\n${ours}`,
    );
    await undo(sandbox, records);
    expect(readConfig(sandbox)).toBe(before);
  });

  it('replaces what was set for the host in place, and undo brings it back', async () => {
    const sandbox = createSandbox();
    const head = '[credential]\n\thelper = store\n';
    const body =
      '\thelper = \n\thelper = !gh auth git-credential\n\tusername = mona\n\tuseHttpPath = false\n';
    const tail = '[core]\n\teditor = vi\n';
    sandbox.write('.gitconfig', head + section + body + tail);
    const before = await listSettings(sandbox);
    const plan = await setUp(sandbox);
    expect(plan.changes[0]?.diff).toEqual([
      '  [credential "https://github.com"]',
      '- \thelper = !gh auth git-credential',
      '- \tuseHttpPath = false',
      '+ \tuseHttpPath = true',
      '+ \thelper = gitlink',
    ]);
    expect(plan.records[0]?.keys).toEqual([
      { name: 'helper', written: ['', 'gitlink'], replaced: ['', '!gh auth git-credential'] },
      { name: 'useHttpPath', written: ['true'], replaced: ['false'] },
    ]);
    expect((await sandbox.git(['config', '--get-all', `credential.${github}.helper`])).stdout).toBe(
      '\ngitlink\n',
    );
    expect(await listAsked(sandbox)).toEqual(['gitlink']);
    await undo(sandbox, plan.records);
    expect(await listSettings(sandbox)).toEqual(before);
  });

  it('keeps a useHttpPath that the user had set', async () => {
    const sandbox = createSandbox();
    const before = `${section}\tuseHttpPath = true\n`;
    sandbox.write('.gitconfig', before);
    const { records } = await setUp(sandbox);
    expect(await listAsked(sandbox)).toEqual(['gitlink']);
    await undo(sandbox, records);
    expect(readConfig(sandbox)).toBe(before);
  });

  it('replaces a key without a value, at which git stops', async () => {
    const sandbox = createSandbox();
    sandbox.write('.gitconfig', `${section}\tuseHttpPath\n`);
    await setUp(sandbox);
    expect(await listAsked(sandbox)).toEqual(['gitlink']);
  });

  it('follows a new path of the helper, and undo still knows what was there first', async () => {
    const sandbox = createSandbox();
    const before = `${section}\thelper = one\n`;
    sandbox.write('.gitconfig', before);
    const first = await setUp(sandbox, { helper: "/'old place'/x" });
    const second = await setUp(sandbox, { records: first.records });
    expect(await listAsked(sandbox)).toEqual(['gitlink']);
    await undo(sandbox, second.records);
    expect(readConfig(sandbox)).toBe(before);
  });

  it('knows its own helper where its record was lost', async () => {
    const sandbox = createSandbox();
    await setUp(sandbox);
    const { records, changes } = await setUp(sandbox);
    expect(changes).toEqual([]);
    await undo(sandbox, records);
    expect(
      (await sandbox.git(['config', '--global', '--get-all', `credential.${github}.helper`])).status,
    ).toBe(1);
  });

  it('serves hosts with a port, a base path or an address', async () => {
    const sandbox = createSandbox();
    sandbox.write('.gitconfig', '[credential]\n\thelper = one\n');
    const hosts = ['https://git.acme.dev:8443/gitea', 'http://[::1]:3000', 'http://127.0.0.1:3000'];
    await setUp(sandbox, { hosts });
    expect(await listAsked(sandbox, 'https://git.acme.dev:8443/gitea/acme/api.git')).toEqual(['gitlink']);
    expect(await listAsked(sandbox, 'http://[::1]:3000/acme/api.git')).toEqual(['gitlink']);
    expect(await listAsked(sandbox, 'http://127.0.0.1:3000/acme/api.git')).toEqual(['gitlink']);
    expect(await listAsked(sandbox, 'https://git.acme.dev:8443/other/api.git')).toEqual(['one']);
    expect(await listAsked(sandbox, 'http://127.0.0.1:3001/acme/api.git')).toEqual(['one']);
  });
});

describe('C9: gitlink is asked alone', () => {
  it.each([
    ['after it', `${section}\tusername = mona\n[credential]\n\thelper = one\n`],
    [
      'after it, twice',
      `[credential]\n\thelper = one\n${section}\tusername = mona\n[credential]\n\thelper = two\n`,
    ],
    [
      'for a spelling of the host',
      `${section}\tusername = mona\n[credential "https://GitHub.com/"]\n\thelper = one\n`,
    ],
    [
      'for any host of the domain',
      `${section}\tusername = mona\n[credential "https://*.com"]\n\thelper = one\n`,
    ],
    [
      'for the host in any scheme',
      `${section}\tusername = mona\n[credential "github.com"]\n\thelper = one\n`,
    ],
    ['in an included file', `${section}\tusername = mona\n[include]\n\tpath = included\n`],
    ['before it', `[credential]\n\thelper = one\n${section}\tusername = mona\n`],
  ])('where another helper stands %s', async (_, before) => {
    const sandbox = createSandbox();
    sandbox.write('.gitconfig', before);
    sandbox.write('included', '[credential]\n\thelper = one\n');
    const settings = await listSettings(sandbox);
    const { records } = await setUp(sandbox);
    expect(await listAsked(sandbox)).toEqual(['gitlink']);
    expect((await setUp(sandbox, { records })).changes).toEqual([]);
    expect(await listSettings(sandbox)).toContain(`credential.${github}.username=mona`);
    await undo(sandbox, records);
    expect(await listSettings(sandbox)).toEqual(settings);
  });

  it.each([
    ['', '[credential]\n\thelper = one\n'],
    ['\tusername = mona\n', `${section}\tusername = mona\n[credential]\n\thelper = one\n`],
  ])('again after the user added another helper (and had %j)', async (body, expected) => {
    const sandbox = createSandbox();
    if (body !== '') sandbox.write('.gitconfig', section + body);
    const first = await setUp(sandbox);
    await sandbox.git(['config', '--global', 'credential.helper', 'one']);
    expect(await listAsked(sandbox)).toEqual(['gitlink', 'one']);
    const second = await setUp(sandbox, { records: first.records });
    expect(await listAsked(sandbox)).toEqual(['gitlink']);
    await undo(sandbox, second.records);
    expect(readConfig(sandbox)).toBe(expected);
  });

  it('and not moved for itself, at a host below another one', async () => {
    const sandbox = createSandbox();
    const hosts = ['https://git.acme.dev', 'https://git.acme.dev/gitea'];
    const { records } = await setUp(sandbox, { hosts });
    expect((await setUp(sandbox, { hosts, records })).changes).toEqual([]);
    expect(await listAsked(sandbox, 'https://git.acme.dev/gitea/acme/api.git')).toEqual(['gitlink']);
  });

  it("or is told where it cannot be: both sections of the host are the user's", async () => {
    const sandbox = createSandbox();
    const beside = section.replace('"]', '/"]');
    const before = `${section}\tusername = mona\n${beside}\tusername = mona\n[credential]\n\thelper = one\n`;
    const file = sandbox.write('.gitconfig', before);
    const { laterHelpers, records } = await setUp(sandbox);
    expect(laterHelpers).toEqual([{ host: github, file }]);
    await undo(sandbox, records);
    expect(readConfig(sandbox)).toBe(before);
  });

  it('moves nothing for helpers of other hosts', async () => {
    const sandbox = createSandbox();
    sandbox.write(
      '.gitconfig',
      `${section}\tusername = mona\n[credential "https://gist.github.com"]\n\thelper = one\n`,
    );
    const { changes } = await setUp(sandbox);
    expect(changes[0]?.diff.filter((line) => line.startsWith('- '))).toEqual([]);
  });

  it('or is told where it cannot be: a helper of the repository comes later', async () => {
    const sandbox = createSandbox();
    const repository = sandbox.path('repository');
    await sandbox.git(['init', '--quiet', repository]);
    await sandbox.git(['-C', repository, 'config', 'credential.helper', 'one']);
    const inside = openSandbox(sandbox.home, sandbox.env);
    const context = { ...inside.context, workingDirectory: repository };
    const options = { hosts: [github], helper: 'gitlink', scope: 'global', records: [] } as const;
    const { laterHelpers } = await planCredentialSetup(options, context);
    expect(laterHelpers).toEqual([{ host: github, file: '.git/config' }]);
    const local = await planCredentialSetup({ ...options, scope: 'local' }, context);
    await local.apply();
    expect(local.laterHelpers).toEqual([]);
    expect(await listAsked(sandbox, `${github}/acme/api.git`, repository)).toEqual(['gitlink']);
  });
});

describe('C9: undo', () => {
  it('keeps what came since: helpers after ours, other settings, other hosts', async () => {
    const sandbox = createSandbox();
    sandbox.write('.gitconfig', `${section}\thelper = one\n`);
    const { records } = await setUp(sandbox, { hosts: [github, 'https://gitlab.com'] });
    await sandbox.git(['config', '--global', '--add', `credential.${github}.helper`, 'two']);
    await sandbox.git(['config', '--global', 'user.name', 'Mona']);
    await undo(
      sandbox,
      records.filter(({ host }) => host === github),
    );
    expect((await sandbox.git(['config', '--get-all', `credential.${github}.helper`])).stdout).toBe(
      'one\ntwo\n',
    );
    expect(await listSettings(sandbox)).toEqual(
      expect.arrayContaining(['user.name=Mona', 'credential.https://gitlab.com.helper=gitlink']),
    );
  });

  it('does nothing where ours are gone, and the second time', async () => {
    const sandbox = createSandbox();
    sandbox.write('.gitconfig', `${section}\thelper = one\n`);
    const { records } = await setUp(sandbox);
    await undo(sandbox, records);
    expect((await undo(sandbox, records)).changes).toEqual([]);
    await sandbox.git(['config', '--global', '--unset-all', `credential.${github}.helper`]);
    expect((await undo(sandbox, records)).changes).toEqual([]);
    rmSync(sandbox.path('.gitconfig'));
    expect((await undo(sandbox, records)).changes).toEqual([]);
    expect(existsSync(sandbox.path('.gitconfig'))).toBe(false);
  });

  it('works from elsewhere for a repository', async () => {
    const sandbox = createSandbox();
    const repository = sandbox.path('repository');
    await sandbox.git(['init', '--quiet', repository]);
    const before = readFileSync(`${repository}/.git/config`, 'utf8');
    const context = { ...sandbox.context, workingDirectory: repository };
    const options = { hosts: [github], helper: 'gitlink', scope: 'local', records: [] } as const;
    const plan = await planCredentialSetup(options, context);
    await plan.apply();
    expect(existsSync(sandbox.path('.gitconfig'))).toBe(false);
    expect(await listAsked(sandbox, `${github}/acme/api.git`, repository)).toEqual(['gitlink']);
    await undo(sandbox, plan.records);
    expect(readFileSync(`${repository}/.git/config`, 'utf8')).toBe(before);
  });
});

describe('C9: the file', () => {
  it('is the one of GIT_CONFIG_GLOBAL', async () => {
    const base = createSandbox();
    const sandbox = openSandbox(base.home, { GIT_CONFIG_GLOBAL: base.path('elsewhere') });
    const plan = await setUp(sandbox);
    expect(plan.changes[0]?.file).toBe(base.path('elsewhere'));
    expect(readFileSync(base.path('elsewhere'), 'utf8')).toBe(section + ours);
    expect(existsSync(base.path('.gitconfig'))).toBe(false);
  });

  it.each([
    [false, '.config/git/config'],
    [true, '.gitconfig'],
  ])('is the one git takes where both may be (.gitconfig there: %s)', async (both, expected) => {
    const sandbox = createSandbox();
    sandbox.write('.config/git/config', '[credential]\n\thelper = one\n');
    if (both) sandbox.write('.gitconfig', '');
    await setUp(sandbox);
    expect(readFileSync(sandbox.path(expected), 'utf8')).toContain(section + ours);
    expect(await listAsked(sandbox)).toEqual(['gitlink']);
  });

  it('may be a link, and keeps its mode', async () => {
    const sandbox = createSandbox();
    const real = sandbox.write('dotfiles/gitconfig', '', 0o600);
    symlinkSync(real, sandbox.path('.gitconfig'));
    await setUp(sandbox);
    expect(lstatSync(sandbox.path('.gitconfig')).isSymbolicLink()).toBe(true);
    expect(lstatSync(real).mode & 0o777).toBe(0o600);
    expect(readFileSync(real, 'utf8')).toBe(section + ours);
  });

  it('is never a device: git would put a file in its place', async () => {
    const base = createSandbox();
    const fifo = base.path('fifo');
    spawnSync('mkfifo', [fifo]);
    for (const device of [fifo, base.home]) {
      const sandbox = openSandbox(base.home, { GIT_CONFIG_GLOBAL: device });
      await expect(setUp(sandbox)).rejects.toMatchObject({ code: 'storage' });
      expect(lstatSync(device).isFile()).toBe(false);
    }
  });

  it.each([
    ['that git cannot read', (sandbox: Sandbox) => sandbox.write('.gitconfig', '[broken\n')],
    ['that is locked', (sandbox: Sandbox) => sandbox.write('.gitconfig.lock', '')],
  ])('%s is an error, and stays as it is', async (_, prepare) => {
    const sandbox = createSandbox();
    const file = prepare(sandbox);
    const before = readFileSync(file, 'utf8');
    await expect(setUp(sandbox)).rejects.toMatchObject({ code: 'storage' });
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('of a repository needs one', async () => {
    await expect(setUp(createSandbox(), { scope: 'local' })).rejects.toMatchObject({ code: 'usage' });
  });

  it.each([
    ['in place', `[credential]\n\thelper = one\n${section}\thelper = \n\thelper = two\n\tusername = mona\n`],
    ['beside', `${section}\thelper = \n\thelper = two\n\tusername = mona\n[credential]\n\thelper = one\n`],
    ['in place of an empty one', `${section}\thelper = \n[credential]\n\thelper = one\n`],
    ['anew', '[credential]\n\thelper = one\n'],
  ])(
    'has no other values after setup %s and undo, wherever one of them was cut off before',
    async (_, before) => {
      let cuts = 0;
      for (let failAt = 1; failAt < 20; failAt += 1) {
        const base = createSandbox();
        base.write('.gitconfig', before);
        const settings = await listSettings(base);
        // A git that fails at one of the commands that write the real file.
        const script = `#!/bin/sh
case "$2 $3 $4" in
  "--file ${base.path('.gitconfig')} --replace-all"|"--file ${base.path('.gitconfig')} --add"|"--file ${base.path('.gitconfig')} --unset-all")
    echo x >> '${base.path('count')}'
    [ "$(wc -l < '${base.path('count')}')" -eq ${failAt} ] && exit 1 ;;
esac
PATH='${base.env['PATH']}' exec git "$@"
`;
        base.write('failing/git', script, 0o755);
        const failing = openSandbox(base.home, { PATH: `${base.path('failing')}:${base.env['PATH']}` });
        const options = { hosts: [github], helper: 'gitlink', scope: 'global' } as const;
        let { records, apply } = await planCredentialSetup({ ...options, records: [] }, failing.context);
        let isCut = await apply().then(
          () => false,
          () => true,
        );
        // The caller has kept the records, and runs it again.
        ({ records, apply } = await planCredentialSetup({ ...options, records }, failing.context));
        await apply();
        expect(await listAsked(base)).toEqual(['gitlink']);
        const plan = await planCredentialUndo(records, failing.context);
        isCut ||= await plan.apply().then(
          () => false,
          () => true,
        );
        await undo(base, records);
        expect(await listSettings(base)).toEqual(settings);
        if (!isCut) break;
        cuts += 1;
      }
      expect(cuts).toBeGreaterThan(3);
    },
  );
});

describe('C10: git runs the helper from any place', () => {
  it.each([
    'plain',
    'a b',
    "mona's",
    '$(touch pwned)',
    '`touch pwned`',
    'a\\b',
    'a"b',
    'ünï 日本',
    'a;b&c|d',
    '~',
    '*',
    '#x',
    'a\nb',
  ])('%j', async (folder) => {
    const sandbox = createSandbox();
    const script = sandbox.write(
      `${folder}/git-credential-gitlink.js`,
      '#!/bin/sh\necho username=mona\necho "password=canary-$1"\n',
      0o755,
    );
    await setUp(sandbox, { helper: chooseHelperCommand(script, process.execPath, sandbox.context) });
    const { stdout } = await sandbox.git(['credential', 'fill'], { input: `url=${github}/acme/api.git\n\n` });
    expect(stdout).toContain('password=canary-get\n');
    expect(existsSync(sandbox.path('pwned'))).toBe(false);
    const { stdout: again } = await sandbox.git(['config', '--get-all', `credential.${github}.helper`]);
    const { changes } = await setUp(sandbox, {
      helper: Buffer.from(again, 'latin1').toString('utf8').slice(1, -1),
    });
    expect(changes).toEqual([]);
  });
});
