import { alternate, type Benchmark, type BenchmarkContext } from './benchmark.ts';
import { startComfyuiSystem } from './comfyui-system.ts';
import { readCpuMs } from './cpu-time.ts';
import { formatNumber, type Figure } from './figures.ts';
import { takeColors } from './prompts.ts';
import { startRole } from './role-process.ts';
import { median, quantile } from './statistics.ts';

/** So many clients wait for jobs of 1 s at the same time, or the benchmark would take minutes. */
const SERVERS = 8;
const WARM_UP_SAMPLES = 200;
/** `aimP50Ms`, `aimP99Ms`: what Tiercel may add to these percentiles. */
const LENGTHS = [
  { ms: 0, clients: 1, samples: 200, aimP50Ms: 8, aimP99Ms: 15 },
  { ms: 1_000, clients: SERVERS, samples: 5 * SERVERS, aimP50Ms: undefined, aimP99Ms: 30 },
];
/** What a job of 0 ms, alone, may cost in all processes of Tiercel together. */
const AIM_CPU_MS = 10;
/** Clients that post one prompt each at the same moment, to one server. */
const AT_ONCE = 100;
const AIM_AT_ONCE = 0.9;

/**
 * What Tiercel adds to a job on a ComfyUI server, from its POST to `executing null` on its own socket; what CPU time
 * that takes; and how fast many prompts go that come at once.
 */
export const benchComfyuiOverhead: Benchmark = async (context) => {
  const system = await startComfyuiSystem(context, {
    ...{ servers: SERVERS, workers: 1, concurrency: 2 * SERVERS },
  });
  const time = startRole('timeJobs');
  const pids = [system.redis, ...system.apis, ...system.workers].map(({ pid }) => pid);
  const cpuMs: number[] = [];
  const measure = async (
    urls: readonly string[],
    { ms, clients, samples }: Pick<(typeof LENGTHS)[number], 'ms' | 'clients' | 'samples'>,
  ): Promise<readonly number[]> => {
    const result = await time({
      ...{ urls, clients, samples, staggerMs: ms / clients },
      ...{ job: { kind: 'wait', ms }, firstColor: takeColors(samples) },
    });
    return result.timesMs;
  };
  const warmUp = { ms: 0, clients: SERVERS, samples: WARM_UP_SAMPLES };
  await measure([system.url], warmUp);
  await measure(system.serverUrls, warmUp);

  const figures: Figure[] = [];
  for (const length of LENGTHS) {
    const times = { tiercel: [] as number[], reference: [] as number[] };
    const run =
      (name: keyof typeof times, urls: readonly string[]) => async (): Promise<number> => {
        const before = readCpuMs(pids);
        const timesMs = await measure(urls, length);
        if (name === 'tiercel' && length.ms === 0) {
          cpuMs.push((readCpuMs(pids) - before) / timesMs.length);
        }
        times[name].push(...timesMs);
        return median(timesMs);
      };
    await alternate(
      { tiercel: run('tiercel', [system.url]), reference: run('reference', system.serverUrls) },
      {
        onFigure: (name, value) => {
          context.say(
            `comfyui-overhead: ${length.ms} ms, ${name}, median ${formatNumber(value)} ms`,
          );
        },
      },
    );
    figures.push(...compare(length, times));
  }
  figures.push({
    ...{ name: 'comfyui-overhead: job of 0 ms, CPU', unit: 'ms', tiercel: Math.min(...cpuMs) },
    aim: { value: { atMost: AIM_CPU_MS } },
  });
  await system.stop();
  return [...figures, await compareAtOnce(context)];
};

/** Prompts per second of one server, and of a Tiercel with the usual settings in front of it. */
async function compareAtOnce(context: BenchmarkContext): Promise<Figure> {
  const system = await startComfyuiSystem(context, { servers: 1, workers: 1, concurrency: 4 });
  const time = startRole('timeJobs');
  const run = (urls: readonly string[]) => async (): Promise<number> => {
    const counts = { clients: AT_ONCE, samples: AT_ONCE, firstColor: takeColors(AT_ONCE) };
    return (await time({ urls, ...counts, job: { kind: 'wait', ms: 0 } })).perSecond;
  };
  const contenders = { tiercel: run([system.url]), reference: run(system.serverUrls) };
  await contenders.tiercel();
  await contenders.reference();
  const rates = await alternate(contenders, {
    onFigure: (name, value) => {
      context.say(
        `comfyui-overhead: ${AT_ONCE} at once, ${name}, ${formatNumber(value)} prompts/s`,
      );
    },
  });
  await system.stop();
  return {
    ...{ name: `comfyui-overhead: ${AT_ONCE} prompts at once`, unit: 'prompts/s' },
    tiercel: Math.max(...rates.tiercel),
    reference: { name: 'the server itself', value: Math.max(...rates.reference) },
    aim: { ratio: { atLeast: AIM_AT_ONCE } },
  };
}

/** Of all rounds' samples: the best round has not the tail of all. */
function compare(
  { ms, aimP50Ms, aimP99Ms }: (typeof LENGTHS)[number],
  times: { readonly tiercel: readonly number[]; readonly reference: readonly number[] },
): Figure[] {
  return [
    { word: 'p50', share: 0.5, atMost: aimP50Ms },
    { word: 'p99', share: 0.99, atMost: aimP99Ms },
  ].flatMap(({ word, share, atMost }): Figure[] => {
    const aim = atMost === undefined ? {} : { aim: { value: { atMost } } };
    const tiercel = quantile(times.tiercel, share);
    const reference = quantile(times.reference, share);
    const name = `comfyui-overhead: job of ${ms} ms, ${word}`;
    return [
      { name, unit: 'ms', tiercel, reference: { name: 'the server itself', value: reference } },
      { name: `${name}, added`, unit: 'ms', tiercel: tiercel - reference, ...aim },
    ];
  });
}
