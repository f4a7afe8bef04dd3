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
stopWithNpm();
// In this process, so that signals and the exit code need no passing on.
await import(pathToFileURL(join(ROOT, 'apps', what, 'dist/main.js')).href);

/**
 * npm runs us through a shell, and a signal to npm ends that shell only: nobody would tell us. When
 * our parent changes, we stop as if we had been told.
 */
function stopWithNpm() {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    // The launcher takes a hang-up for a first signal only; the applications know SIGTERM.
    process.kill(process.pid, what === 'launcher' ? 'SIGHUP' : 'SIGTERM');
  }, 250);
  timer.unref();
}
