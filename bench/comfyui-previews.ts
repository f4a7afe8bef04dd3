import { alternate, type Benchmark } from './benchmark.ts';
import { startComfyuiSystem } from './comfyui-system.ts';
import { formatNumber, type Figure } from './figures.ts';
import { takeColors } from './prompts.ts';
import type { PreviewCount } from './roles/count-previews.ts';
import { startRole } from './role-process.ts';

const SERVERS = 4;
/** A sampler at 20 steps a second whose previews are JPEGs of 50 KB: 1 MB/s. */
const JOB = { kind: 'previews', count: 80, intervalMs: 50, bytes: 50_000 } as const;

/** Previews on the way from ComfyUI servers to sockets, 1 MB/s each. */
export const benchComfyuiPreviews: Benchmark = async (context) => {
  const system = await startComfyuiSystem(context, {
    ...{ servers: SERVERS, workers: 1, concurrency: 2 * SERVERS },
    server: { previewBytes: JOB.bytes },
  });
  const count = startRole('countPreviews');
  const measure = (urls: readonly string[]): Promise<PreviewCount> =>
    count({ urls, job: JOB, firstColor: takeColors(urls.length) });
  await measure([system.url]);

  const figures: Figure[] = [];
  for (const jobs of [1, SERVERS]) {
    const arrived = { tiercel: 0, reference: 0 };
    const run = (name: keyof typeof arrived, urls: readonly string[]) => async () => {
      const result = await measure(urls);
      arrived[name] = Math.max(arrived[name], result.arrived);
      const speed = formatNumber(result.megabytesPerSecond);
      context.say(
        `comfyui-previews: ${jobs} at once, ${name} ${result.arrived} previews, ${speed} MB/s`,
      );
      return result.perSecond;
    };
    const rates = await alternate(
      {
        tiercel: run('tiercel', Array<string>(jobs).fill(system.url)),
        reference: run('reference', system.serverUrls.slice(0, jobs)),
      },
      { onFigure: () => undefined },
    );
    const name = `comfyui-previews: 50 KB, ${jobs} ${jobs === 1 ? 'job' : 'jobs'}`;
    const sent = jobs * JOB.count;
    figures.push(
      {
        ...{ name, unit: 'previews/s', tiercel: Math.max(...rates.tiercel) },
        reference: { name: 'the servers themselves', value: Math.max(...rates.reference) },
      },
      {
        ...{ name: `${name}, arrived of ${sent} sent`, unit: 'previews', tiercel: arrived.tiercel },
        reference: { name: 'the servers themselves', value: arrived.reference },
      },
    );
  }
  await system.stop();
  return figures;
};
