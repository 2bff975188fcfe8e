import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listNodes } from './sandbox.ts';

const project = resolve(import.meta.dirname, '../..');
/** The vectors by which the helper judges hosts and paths, and the bytes that git may send it. */
const vectors = [
  'src/git/credential-protocol.test.ts',
  'src/git/host-match.test.ts',
  'src/git/repository-path.test.ts',
  'src/git/repository-url.test.ts',
  'test/git/credential-protocol.test.ts',
];
const [, ...others] = listNodes();
if (others.length === 0) {
  process.stderr.write(
    'Skipped: the vectors of hosts, paths and bytes on other Nodes (GITLINK_TEST_NODES names none).\n',
  );
}

function runVectors(node: string): Promise<{ readonly exitCode: number | null; readonly output: string }> {
  const vitest = join(project, 'node_modules/vitest/vitest.mjs');
  const child = spawn(node, [vitest, 'run', '--config', 'test/vitest.config.ts', ...vectors], {
    cwd: project,
    env: { ...process.env, GITLINK_TEST_NODES: '', NO_COLOR: '1' },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((done) => child.on('close', (exitCode) => done({ exitCode, output })));
}

describe.skipIf(others.length === 0)('C1, C4, C6: hosts, paths and bytes are judged alike', () => {
  test.each(others)(
    'on Node $version',
    async ({ node }) => {
      const { exitCode, output } = await runVectors(node);
      expect(exitCode, output).toBe(0);
      const passed = Number(/Tests +(\d+) passed/.exec(output)?.[1]);
      expect(passed).toBeGreaterThan(600);
    },
    180_000,
  );
});
