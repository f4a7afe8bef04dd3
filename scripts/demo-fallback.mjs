// npm run demo:fallback: a Tiercel in front of local stand-ins for four kinds of image service, which fail and
// come back one after the other while jobs keep coming. Takes about a minute; needs no network and no keys.
import { ensureInstalled, ensureTestsBuilt } from './bootstrap.mjs';

await ensureInstalled();
await ensureTestsBuilt();

// Only now: it imports what was just installed and built.
const { runDemo } = await import('./demo/run-demo.mjs');
await runDemo();
