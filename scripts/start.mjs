// npm start: the launcher. npm run start:api / start:worker: one process of that kind.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt, ensureInstalled, fail, ROOT } from './bootstrap.mjs';

const what = process.argv[2] ?? 'launcher';
if (!['launcher', 'api', 'worker'].includes(what)) {
  fail(`usage: node scripts/start.mjs [api | worker]`, 64);
}

await ensureInstalled();
await ensureBuilt();
process.setSourceMapsEnabled(true);
// In this process, so that signals and the exit code need no passing on.
await import(pathToFileURL(join(ROOT, 'apps', what, 'dist/main.js')).href);
