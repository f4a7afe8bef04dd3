import { parseArgs } from 'node:util';
import type { ChildMessage } from '@tiercel/runtime';
import { startFakeAutomatic1111 } from './automatic1111.ts';
import { startFakeCloudflare } from './cloudflare.ts';
import { startFakeOpenAi } from './openai.ts';
import { startFakePollinations } from './pollinations.ts';
import type { FakeService, FakeServiceOptions } from './service.ts';
import { startFakeTurbo } from './turbo.ts';

/**
 * A vendor's server as a process of its own, for demos and benchmarks:
 * `node main.js VENDOR [--port N] [--latency-ms N]`. Prints one line, `{"type":"ready","url":...}`, and
 * sends the same by IPC when it was started with a channel; it then ends with its parent.
 */

const VENDORS: Readonly<Record<string, (options: FakeServiceOptions) => Promise<FakeService>>> = {
  automatic1111: startFakeAutomatic1111,
  cloudflare: startFakeCloudflare,
  openai: startFakeOpenAi,
  pollinations: startFakePollinations,
  turbo: startFakeTurbo,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    'latency-ms': { type: 'string', default: '0' },
  },
});
const start = VENDORS[positionals[0] ?? ''];
if (start === undefined) {
  process.stderr.write(`name a vendor: ${Object.keys(VENDORS).join(', ')}\n`);
  process.exit(64);
}
const service = await start({
  port: Number(values.port),
  latencyMs: Number(values['latency-ms']),
});
const ready = { type: 'ready', url: service.url } satisfies ChildMessage;
process.stdout.write(`${JSON.stringify(ready)}\n`);
// Not runtime's reportReady: loading that package would double the time of every start.
process.send?.(ready);
process.on('disconnect', () => process.exit(0));
