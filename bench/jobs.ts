import { alternate, type Benchmark } from './benchmark.ts';
import { formatNumber } from './figures.ts';
import { takeColors, type PromptBodies } from './prompts.ts';
import { startRole } from './role-process.ts';
import { clear, countSuccesses, startBenchSystem, waitUntilIdle } from './system.ts';

const JOBS = 3_000;
/** For the figures that have no aim. */
const SIDE_JOBS = 1_500;
const REFERENCE_JOBS = 10_000;
const WARM_UP_JOBS = 1_000;
const CONNECTIONS = 32;
/** Of the one worker process, Tiercel's and BullMQ's alike. */
const CONCURRENCY = 8;

/** Jobs from the first POST to the last one in history, beside BullMQ with a job that does nothing. */
export const benchJobs: Benchmark = async (context) => {
  const system = await startBenchSystem(context, {
    env: { WORKER_CONCURRENCY: String(CONCURRENCY) },
  });
  const { url } = system;
  const redisUrl = system.redis.url;
  const drive = startRole('driveLoad');
  const work = startRole('workBullmq');
  const add = startRole('addToBullmq');
  await work({ redisUrl, concurrency: CONCURRENCY, step: 'start' });

  const runJobs = async (
    output: PromptBodies['output'],
    colors: PromptBodies['colors'],
    count = JOBS,
  ): Promise<number> => {
    await clear(url, 'history');
    const firstColor = takeColors(count);
    const startedAt = performance.now();
    await drive({
      ...{ url, path: '/prompt', connections: CONNECTIONS },
      bodies: { output, firstColor, colors },
      stopAfter: { requests: count },
    });
    await waitUntilIdle(url);
    const seconds = (performance.now() - startedAt) / 1_000;
    const succeeded = await countSuccesses(url);
    if (succeeded !== count) throw new Error(`${succeeded} of ${count} jobs succeeded`);
    return count / seconds;
  };
  const runBullmq = async (count = REFERENCE_JOBS): Promise<number> => {
    const startedAt = performance.now();
    const worked = work({ redisUrl, concurrency: CONCURRENCY, step: { wait: count } });
    await add({ redisUrl, count, loops: CONNECTIONS });
    await worked;
    return (count / (performance.now() - startedAt)) * 1_000;
  };

  await runJobs('PreviewImage', 'distinct', WARM_UP_JOBS);
  await runBullmq(WARM_UP_JOBS);
  const figures = await alternate(
    {
      preview: () => runJobs('PreviewImage', 'distinct'),
      bullmq: () => runBullmq(),
      save: () => runJobs('SaveImage', 'distinct', SIDE_JOBS),
      cached: () => runJobs('PreviewImage', 'same', SIDE_JOBS),
    },
    {
      onFigure: (name, value) => {
        context.say(`jobs: ${name} ${formatNumber(value)} jobs/s`);
      },
    },
  );
  await system.stop();
  const reference = { name: 'BullMQ, empty job', value: Math.max(...figures.bullmq) };
  const received = { unit: 'jobs/s', reference };
  return [
    {
      ...{ name: 'jobs: EmptyImage -> PreviewImage', ...received },
      tiercel: Math.max(...figures.preview),
      aim: { ratio: { atLeast: 0.2 }, value: { atLeast: 1_000 } },
    },
    { name: 'jobs: EmptyImage -> SaveImage', ...received, tiercel: Math.max(...figures.save) },
    { name: 'jobs: all nodes cached', ...received, tiercel: Math.max(...figures.cached) },
  ];
};
