// Runs a TypeScript file of the project: `node test/tools/run.mjs FILE [ARGUMENTS…]`. Node 20 cannot by itself.
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const [file, ...rest] = process.argv.slice(2);
if (!file) {
  process.stderr.write('usage: node test/tools/run.mjs FILE [ARGUMENTS…]\n');
  process.exit(2);
}

// Inside the project, so that packages that stay external are found from there.
const folder = mkdtempSync(resolve('node_modules', '.gitlink-run-'));
const removeFolder = () => rmSync(folder, { recursive: true, force: true });
process.once('exit', removeFolder);

const outfile = join(folder, 'run.mjs');
await build({
  entryPoints: [resolve(file)],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'error',
});
process.setSourceMapsEnabled(true);
process.argv = [process.argv[0], resolve(file), ...rest];
try {
  await import(pathToFileURL(outfile).href);
} finally {
  removeFolder();
}
