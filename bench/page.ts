import { startTestRedis } from '@tiercel/testkit';
import { alternate, type Benchmark } from './benchmark.ts';
import { formatNumber, type Figure } from './figures.ts';
import { fillHistory } from './fill-history.ts';
import { startRole } from './role-process.ts';
import { startBenchSystem } from './system.ts';

const FEW = 100;
const MANY = 10_000;
const CONNECTIONS = 4;
const SECONDS = 1;
const PATHS = ['/history?max_items=10', '/api/jobs?limit=20'];

/** A page of a long history beside the same page of a short one: it is to cost what the page costs. */
export const benchPage: Benchmark = async (context) => {
  const redis = await startTestRedis();
  const [long, short] = [
    await startBenchSystem(context, { redis, workers: 0 }),
    await startBenchSystem(context, { redis, workers: 0 }),
  ];
  for (const [system, count] of [
    [long, MANY],
    [short, FEW],
  ] as const) {
    await fillHistory({
      redisUrl: redis.url,
      redisPrefix: system.options.redisPrefix ?? 'tiercel',
      count,
    });
  }
  const drive = startRole('driveLoad');
  const figures: Figure[] = [];
  for (const path of PATHS) {
    const measure = async (url: string): Promise<number> =>
      (await drive({ url, path, connections: CONNECTIONS, stopAfter: { seconds: SECONDS } }))
        .perSecond;
    await measure(long.url);
    await measure(short.url);
    const rates = await alternate(
      { long: () => measure(long.url), short: () => measure(short.url) },
      {
        onFigure: (name, value) => {
          context.say(`page: ${path} of a ${name} history ${formatNumber(value)} requests/s`);
        },
      },
    );
    figures.push({
      name: `page: GET ${path}, ${MANY} jobs`,
      unit: 'requests/s',
      tiercel: Math.max(...rates.long),
      reference: { name: `${FEW} jobs`, value: Math.max(...rates.short) },
      aim: { ratio: { atLeast: 0.8 } },
    });
  }
  await Promise.all([...long.apis, ...short.apis].map((api) => api.stop()));
  return figures;
};
