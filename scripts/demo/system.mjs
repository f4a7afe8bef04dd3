import { createServer } from 'node:net';
import { startFakeComfyUi, startSystem } from '@tiercel/testkit';
import { startVendor } from './vendors.mjs';

const BREAKER_POLL_MS = 300;

/** In the order of preference. */
const TIERS = [
  { name: 'primary', driver: 'openai' },
  { name: 'dreamshaper', driver: 'cloudflare' },
  { name: 'turbo', driver: 'turbo' },
  { name: 'comfyui', driver: 'comfyui' },
];

/**
 * Stand-ins for the services, and one API and one worker in front of them on a data folder and a Redis of
 * their own. `breakers()` is the last reading of the breaker states, by tier.
 */
export async function startDemoSystem() {
  const [primary, dreamshaper, turboA, turboB, comfyui, metricsPort] = await Promise.all([
    startVendor('openai', { latencyMs: 200 }),
    startVendor('cloudflare', { latencyMs: 120 }),
    startVendor('turbo', { latencyMs: 60 }),
    startVendor('turbo', { latencyMs: 60 }),
    startFakeComfyUi({ stepMs: 25 }),
    findFreePort(),
  ]);
  const turbo = [turboA, turboB];
  const system = await startSystem({
    env: {
      LOG_LEVEL: 'error',
      WORKER_CONCURRENCY: '8',
      // The API knows tiers from its workers' heartbeats, every 5 s; a worker's own /metrics is live.
      METRICS_PORT: String(metricsPort),
    },
    configYaml: describeConfig({ primary, dreamshaper, turbo, comfyui }),
  });
  const breakers = await watchBreakers(`http://127.0.0.1:${metricsPort}/metrics`);
  return { tiers: TIERS, url: system.url, primary, dreamshaper, turbo, breakers };
}

/** Pauses and limits are much shorter than the defaults: the demo has a minute. */
function describeConfig({ primary, dreamshaper, turbo, comfyui }) {
  const tiers = [
    { url: `${primary.url}/v1`, apiKey: 'demo', model: 'dall-e-2', timeoutMs: 2000 },
    {
      ...{ url: `${dreamshaper.url}/client/v4`, accountId: 'demo', apiKey: 'demo' },
      model: '@cf/lykon/dreamshaper-8-lcm',
    },
    { urls: turbo.map(({ url }) => url) },
    { urls: [comfyui.url] },
  ].map((place, index) => ({ ...TIERS[index], ...place }));
  const fallback = { breakerOpenMs: 1500, breakerMaxOpenMs: 3000 };
  // YAML holds JSON.
  return JSON.stringify({ tiers, fallback, queue: { perClient: 'parallel' } });
}

async function watchBreakers(url) {
  let states = new Map();
  const read = async () => {
    const text = await (await fetch(url)).text();
    const lines = text.matchAll(/^comfy_tier_breaker\{(.*)\} 1$/gm);
    states = new Map(
      Array.from(lines, ([, labels]) => [readLabel(labels, 'tier'), readLabel(labels, 'state')]),
    );
  };
  await read();
  setInterval(() => void read().catch(() => undefined), BREAKER_POLL_MS).unref();
  return () => states;
}

function readLabel(labels, name) {
  return new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1];
}

async function findFreePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
