import { takeTurns, type Benchmark } from './benchmark.ts';
import { startComfyuiSystem } from './comfyui-system.ts';
import { formatNumber, type Figure } from './figures.ts';
import { takeColors } from './prompts.ts';
import { startRole } from './role-process.ts';
import { median, quantile } from './statistics.ts';

/** So many clients wait for jobs of 1 s at the same time, or the benchmark would take minutes. */
const SERVERS = 8;
const WARM_UP_SAMPLES = 200;
/** `aimMs`: what Tiercel may add to the 99th percentile. */
const LENGTHS = [
  { ms: 0, clients: 1, samples: 200, aimMs: 15 },
  { ms: 1_000, clients: SERVERS, samples: 5 * SERVERS, aimMs: 30 },
];

/** What Tiercel adds to a job on a ComfyUI server, from its POST to `executing null` on its own socket. */
export const benchComfyuiOverhead: Benchmark = async (context) => {
  const system = await startComfyuiSystem(context, {
    ...{ servers: SERVERS, workers: 1, concurrency: 2 * SERVERS },
  });
  const time = startRole('timeJobs');
  const measure = async (
    urls: readonly string[],
    { ms, clients, samples }: Omit<(typeof LENGTHS)[number], 'aimMs'>,
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
        const timesMs = await measure(urls, length);
        times[name].push(...timesMs);
        return median(timesMs);
      };
    await takeTurns(
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
  await system.stop();
  return figures;
};

/** Of all rounds' samples: the best round has not the tail of all. */
function compare(
  { ms, aimMs }: (typeof LENGTHS)[number],
  times: { readonly tiercel: readonly number[]; readonly reference: readonly number[] },
): Figure[] {
  return [
    { word: 'p50', share: 0.5, aim: {} },
    { word: 'p99', share: 0.99, aim: { aim: { value: { atMost: aimMs } } } },
  ].flatMap(({ word, share, aim }): Figure[] => {
    const tiercel = quantile(times.tiercel, share);
    const reference = quantile(times.reference, share);
    const name = `comfyui-overhead: job of ${ms} ms, ${word}`;
    return [
      { name, unit: 'ms', tiercel, reference: { name: 'the server itself', value: reference } },
      { name: `${name}, added`, unit: 'ms', tiercel: tiercel - reference, ...aim },
    ];
  });
}
