// The process of one stand-in: `node serve-vendor.mjs VENDOR PORT LATENCY_MS`. Ends with its parent.
import { startFakeCloudflare, startFakeOpenAi, startFakeTurbo } from '@tiercel/testkit';

const VENDORS = {
  // The model that paints 256x256: with others the demo would mostly scale pictures.
  openai: (options) => startFakeOpenAi({ ...options, models: ['dall-e-2'] }),
  cloudflare: startFakeCloudflare,
  turbo: startFakeTurbo,
};

const [vendor, port, latencyMs] = process.argv.slice(2);
const { url } = await VENDORS[vendor]({ port: Number(port), latencyMs: Number(latencyMs) });
process.send({ type: 'ready', url });
process.on('disconnect', () => process.exit(0));
