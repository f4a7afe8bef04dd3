import { setTimeout as sleep } from 'node:timers/promises';
import type { FakeFault } from '@tiercel/testkit';
import type { Benchmark } from './benchmark.ts';
import { startFallbackSystems, type FallbackSystems } from './fallback-systems.ts';
import { formatNumber, type Figure } from './figures.ts';
import type { SampleCommand, SampledPictures } from './roles/sample-pictures.ts';
import { startRole } from './role-process.ts';
import { median, quantile } from './statistics.ts';

const JOBS = 1_000;
/** The worker's concurrency too. */
const CLIENTS = 8;
const WARM_UP_JOBS = 250;
/** Jobs one after the other, in turns of few: what a skipped tier costs is less than the machine's noise. */
const TURNS = 16;
const JOBS_PER_TURN = 10;
const CACHED_JOBS = 400;
const CLOSE_TIMEOUT_MS = 30_000;

/** How the primary fails, by the name of the figures. */
const TROUBLES: Readonly<Record<string, FakeFault | null>> = {
  'at 0 %': null,
  'at 50 %': { name: 'error', rate: 0.5, seed: 1 },
  'at 100 %': { name: 'error' },
  hanging: { name: 'hang' },
};

type Sample = (
  url: string,
  jobs: number,
  more?: Partial<Pick<SampleCommand, 'clients' | 'seeds' | 'cache'>>,
) => Promise<SampledPictures>;

/** A primary that fails in several ways, with two more tiers behind it; and what skipping and storing cost and save. */
export const benchFallback: Benchmark = async (context) => {
  const systems = await startFallbackSystems(context, { concurrency: CLIENTS });
  const sample = createSampler();
  // First, while both systems have done equally little.
  const skipping = await measureSkipping(systems, sample);
  context.say(`fallback: skipped tier: ${formatNumber(skipping.dead)} ms p50`);
  context.say(`fallback: no such tier: ${formatNumber(skipping.none)} ms p50`);

  const jobs = context.jobs ?? JOBS;
  const runs = new Map<string, SampledPictures>();
  for (const [name, fault] of Object.entries(TROUBLES)) {
    await healPrimary(systems, sample);
    await systems.setPrimary(fault);
    const run = await sample(systems.full.url, jobs);
    runs.set(name, run);
    context.say(`fallback: primary ${name}: ${describeRun(run)}`);
  }
  await healPrimary(systems, sample);
  const stored = await measureCache(systems, sample, Math.min(jobs, CACHED_JOBS));
  context.say(`fallback: ${formatNumber(stored.cached)} cached, ${formatNumber(stored.not)} not`);
  await systems.stop();
  return [
    ...troubleFigures(runs, jobs),
    {
      ...{ name: 'fallback: a dead primary, skipped: added p50', unit: 'ms' },
      tiercel: skipping.dead - skipping.none,
      aim: { value: { atMost: 5 } },
    },
    {
      ...{ name: 'fallback: cached answers', unit: 'jobs/s', tiercel: stored.cached },
      reference: { name: 'the same, cache: false', value: stored.not },
    },
  ];
};

/** Seeds are never used twice, unless asked for: a stored result answers no job by accident. */
function createSampler(): Sample {
  const samplePictures = startRole('samplePictures');
  let nextSeed = 1;
  return async (url, jobs, more = {}) => {
    const firstSeed = nextSeed;
    nextSeed += jobs;
    const base = { clients: CLIENTS, seeds: 'distinct' } as const;
    return await samplePictures({ url, jobs, firstSeed, ...base, ...more });
  };
}

/** Mends the primary and waits until it serves again. */
async function healPrimary({ full, setPrimary }: FallbackSystems, sample: Sample): Promise<void> {
  await setPrimary(null);
  const deadline = Date.now() + CLOSE_TIMEOUT_MS;
  for (;;) {
    await sample(full.url, 1);
    if (await full.isPrimaryUp()) return;
    if (Date.now() > deadline) throw new Error('the primary did not come back');
    await sleep(250);
  }
}

/** Medians in ms of a job alone, with a dead primary whose breaker is open and without a primary. */
async function measureSkipping(
  { full, withoutPrimary, setPrimary }: FallbackSystems,
  sample: Sample,
): Promise<{ dead: number; none: number }> {
  await setPrimary({ name: 'error' });
  const contenders = [
    { url: full.url, timesMs: [] as number[] },
    { url: withoutPrimary.url, timesMs: [] as number[] },
  ] as const;
  // Equal histories: a process gets faster with each job of its first hundreds.
  for (const { url } of contenders) await sample(url, WARM_UP_JOBS);
  for (let turn = 0; turn < TURNS; turn += 1) {
    const order = turn % 2 === 0 ? contenders : contenders.toReversed();
    for (const { url, timesMs } of order) {
      timesMs.push(...(await sample(url, JOBS_PER_TURN, { clients: 1 })).timesMs);
    }
  }
  const [dead, none] = contenders.map(({ timesMs }) => median(timesMs));
  return { dead: dead ?? NaN, none: none ?? NaN };
}

/** Jobs per second of one prompt again and again. */
async function measureCache(
  { full }: FallbackSystems,
  sample: Sample,
  jobs: number,
): Promise<{ cached: number; not: number }> {
  const rate = async (cache?: false): Promise<number> => {
    const more = cache === undefined ? {} : { cache };
    const run = await sample(full.url, jobs, { seeds: 'same', ...more });
    if (run.succeeded !== jobs) throw new Error(`${run.succeeded} of ${jobs} jobs succeeded`);
    return jobs / run.seconds;
  };
  return { cached: await rate(), not: await rate(false) };
}

function troubleFigures(runs: ReadonlyMap<string, SampledPictures>, jobs: number): Figure[] {
  const healthy = runs.get('at 0 %')?.timesMs ?? [];
  return Array.from(runs).flatMap(([trouble, { succeeded, timesMs }]): Figure[] => {
    const name = `fallback: ${jobs} jobs, primary ${trouble}`;
    const beside = (share: number): Partial<Figure> =>
      timesMs === healthy ? {} : { reference: { name: 'at 0 %', value: quantile(healthy, share) } };
    return [
      {
        ...{ name: `${name}: succeeded`, unit: '%', tiercel: (succeeded / timesMs.length) * 100 },
        aim: { value: { atLeast: 99.9 } },
      },
      { name: `${name}: p50`, unit: 'ms', tiercel: median(timesMs), ...beside(0.5) },
      { name: `${name}: p99`, unit: 'ms', tiercel: quantile(timesMs, 0.99), ...beside(0.99) },
    ];
  });
}

function describeRun({ succeeded, timesMs, seconds }: SampledPictures): string {
  const p50 = formatNumber(median(timesMs));
  const p99 = formatNumber(quantile(timesMs, 0.99));
  return `${succeeded} of ${timesMs.length} succeeded in ${formatNumber(seconds)} s, p50 ${p50} ms, p99 ${p99} ms`;
}
