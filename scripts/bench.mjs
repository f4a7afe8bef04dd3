// npm run bench: runs bench/main.ts against the built applications; its arguments are passed on.
// The seam: bench/main.ts is bundled with its own relative imports only, so packages (also
// @tiercel/*) are the built ones. It runs in the repository's root, which is process.cwd().
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureInstalled, ensureTestsBuilt, fail, ROOT } from './bootstrap.mjs';

const entry = join(ROOT, 'bench/main.ts');
if (!existsSync(entry)) fail('bench/main.ts is missing.');
await ensureInstalled();
await ensureTestsBuilt();

const { build } = await import('esbuild');
const outfile = join(ROOT, 'node_modules/.cache/bench/main.mjs');
await build({
  ...{ entryPoints: [entry], outfile, bundle: true, packages: 'external', sourcemap: true },
  ...{ platform: 'node', format: 'esm', target: 'node20', logLevel: 'warning' },
});

const bench = spawn(process.execPath, ['--enable-source-maps', outfile, ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => bench.kill(signal));
bench.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
