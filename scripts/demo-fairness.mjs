// npm run demo:fairness: four workers on one queue. One tenant floods it, others stay fast, an operator changes
// weights and caps while it runs, and a worker is killed. Takes under a minute; needs no network and no keys.
import { ensureInstalled, ensureTestsBuilt } from './bootstrap.mjs';

await ensureInstalled();
await ensureTestsBuilt();

// Only now: it imports what was just installed and built.
const { runFairnessDemo } = await import('./demo/fairness/run-fairness-demo.mjs');
await runFairnessDemo();
