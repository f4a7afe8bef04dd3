import { http, type FakeFault } from '@tiercel/testkit';
import type { BenchmarkContext } from './benchmark.ts';
import { OPENAI_MODEL, type VendorCommand } from './roles/serve-vendor.ts';
import { startRole } from './role-process.ts';
import { CHECKPOINT } from './sampling-prompts.ts';
import { startBenchSystem, type BenchSystem } from './system.ts';

/** Of every stand-in. */
const LATENCY_MS = 20;
/** Of one attempt on the primary: the default, 60 s, would be the benchmark's whole time. */
const PRIMARY_TIMEOUT_MS = 1_000;
/** The default doubles to 60 s; a healed primary is to be tried soon. */
const BREAKER_MAX_OPEN_MS = 5_000;

export interface FallbackSystems {
  readonly full: {
    readonly url: string;
    /** Whether it was the primary that served the job that ended last. */
    readonly isPrimaryUp: () => Promise<boolean>;
  };
  /** The same tiers but for the first. */
  readonly withoutPrimary: { readonly url: string };
  readonly setPrimary: (fault: FakeFault | null) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Two Tiercels before the same stand-ins, each in a process of its own: primary, dreamshaper, turbo. */
export async function startFallbackSystems(
  context: BenchmarkContext,
  { concurrency }: { readonly concurrency: number },
): Promise<FallbackSystems> {
  const primary = startRole('serveVendor');
  const start = (vendor: Extract<VendorCommand, { step: 'start' }>['vendor']): VendorCommand => ({
    step: 'start',
    vendor,
    latencyMs: LATENCY_MS,
  });
  const [openai, cloudflare, turbo] = await Promise.all([
    primary(start('openai')),
    startRole('serveVendor')(start('cloudflare')),
    startRole('serveVendor')(start('turbo')),
  ]);
  const checkpoints = [CHECKPOINT];
  const primaryTier = {
    ...{ name: 'primary', driver: 'openai', url: `${openai}/v1`, apiKey: 'bench', checkpoints },
    ...{ model: OPENAI_MODEL, timeoutMs: PRIMARY_TIMEOUT_MS },
  };
  const tiers = [
    {
      ...{ name: 'dreamshaper', driver: 'cloudflare', url: `${cloudflare}/client/v4`, checkpoints },
      ...{ accountId: 'bench', apiKey: 'bench', model: '@cf/lykon/dreamshaper-8-lcm' },
    },
    { name: 'turbo', driver: 'turbo', urls: [turbo], checkpoints },
  ];
  const startSystem = (systemTiers: readonly object[]): Promise<BenchSystem> =>
    startBenchSystem(context, {
      env: { WORKER_CONCURRENCY: String(concurrency) },
      // YAML holds JSON.
      configYaml: JSON.stringify({
        tiers: systemTiers,
        fallback: { breakerMaxOpenMs: BREAKER_MAX_OPEN_MS },
        queue: { perClient: 'parallel' },
      }),
    });
  const full = await startSystem([primaryTier, ...tiers]);
  const withoutPrimary = await startSystem(tiers);
  return {
    full: {
      url: full.url,
      isPrimaryUp: async () => (await readLastServer(full.url)) === primaryTier.name,
    },
    withoutPrimary: { url: withoutPrimary.url },
    setPrimary: async (fault) => {
      await primary({ step: 'fail', fault });
    },
    stop: async () => {
      await full.stop();
      await withoutPrimary.stop();
    },
  };
}

/** The tier that served the job that ended last. */
async function readLastServer(url: string): Promise<string | undefined> {
  const answer = await http(url).get('/history?max_items=1');
  const [last] = Object.values(
    answer.json() as unknown as Record<string, { tiercel: { served_by: { tier: string } | null } }>,
  );
  return last?.tiercel.served_by?.tier;
}
