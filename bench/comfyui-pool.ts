import { alternate, type Benchmark } from './benchmark.ts';
import { startComfyuiSystem } from './comfyui-system.ts';
import { formatNumber } from './figures.ts';
import { takeColors } from './prompts.ts';
import { startRole } from './role-process.ts';

const SERVERS = 10;
const JOB = { kind: 'wait', ms: 100 } as const;
const IDEAL = (SERVERS * 1_000) / JOB.ms;
/** As docs/comfyui-pool.md recommends for ten servers. */
const WORKERS = 2;
const CONCURRENCY = 10;
/** Each with one job at a time: some always wait in Tiercel's queue. */
const CLIENTS = 40;
/** One prompt runs on a server and one waits there. */
const CLIENTS_OF_A_SERVER = 2;
const JOBS = 600;
const WARM_UP_JOBS = 200;

/** Jobs per second over ten ComfyUI servers, beside what they do by themselves. */
export const benchComfyuiPool: Benchmark = async (context) => {
  const system = await startComfyuiSystem(context, {
    ...{ servers: SERVERS, workers: WORKERS, concurrency: CONCURRENCY },
  });
  const time = startRole('timeJobs');
  const run = async (urls: readonly string[], clients: number, samples = JOBS): Promise<number> => {
    const firstColor = takeColors(samples);
    return (await time({ urls, clients, samples, job: JOB, firstColor })).perSecond;
  };
  const runPool = (jobs?: number) => run([system.url], CLIENTS, jobs);
  const runServers = (jobs?: number) => run(system.serverUrls, CLIENTS_OF_A_SERVER * SERVERS, jobs);
  await runPool(WARM_UP_JOBS);
  await runServers(WARM_UP_JOBS);
  const figures = await alternate(
    { tiercel: () => runPool(), reference: () => runServers() },
    {
      onFigure: (name, value) => {
        context.say(`comfyui-pool: ${name} ${formatNumber(value)} jobs/s`);
      },
    },
  );
  await system.stop();
  const tiercel = Math.max(...figures.tiercel);
  const name = `comfyui-pool: ${SERVERS} servers of ${JOB.ms} ms`;
  return [
    {
      ...{ name, unit: 'jobs/s', tiercel, reference: { name: 'ideal', value: IDEAL } },
      aim: { value: { atLeast: 0.9 * IDEAL } },
    },
    {
      ...{ name, unit: 'jobs/s', tiercel },
      reference: { name: 'the servers themselves', value: Math.max(...figures.reference) },
    },
  ];
};
