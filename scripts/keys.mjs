// npm run -s keys: makes, lists, ends and replaces API keys. Needs nothing but the configuration; its standard output is
// data.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt, ensureInstalled, reportOnStderr, ROOT } from './bootstrap.mjs';

reportOnStderr();
await ensureInstalled();
await ensureBuilt();
process.setSourceMapsEnabled(true);
await import(pathToFileURL(join(ROOT, 'apps/keys/dist/main.js')).href);
