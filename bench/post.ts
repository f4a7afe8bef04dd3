import { alternate, type Benchmark } from './benchmark.ts';
import { formatNumber } from './figures.ts';
import { takeColors } from './prompts.ts';
import { startRole } from './role-process.ts';
import { clear, startBenchSystem } from './system.ts';

const CONNECTIONS = 32;
const SECONDS = 2;
const WARM_UP_SECONDS = 1.5;
const MAX_REQUESTS_PER_ROUND = 100_000;

/** Accepting prompts (nothing runs: no worker is up) beside a bare Express application that echoes them. */
export const benchPost: Benchmark = async (context) => {
  const system = await startBenchSystem(context, {
    configYaml: `queue: { maxPending: ${10 * MAX_REQUESTS_PER_ROUND} }\n`,
  });
  await system.stopWorkers();
  const echoUrl = await startRole('serveReference')({ kind: 'echo' });
  const drive = startRole('driveLoad');
  const measure = async (url: string, seconds: number): Promise<number> => {
    const result = await drive({
      url,
      path: '/prompt',
      connections: CONNECTIONS,
      bodies: {
        output: 'SaveImage',
        firstColor: takeColors(MAX_REQUESTS_PER_ROUND),
        colors: 'distinct',
      },
      stopAfter: { seconds },
    });
    if (url === system.url) await clear(url, 'queue');
    return result.perSecond;
  };
  await measure(system.url, WARM_UP_SECONDS);
  await measure(echoUrl, WARM_UP_SECONDS);
  const figures = await alternate(
    {
      tiercel: () => measure(system.url, SECONDS),
      reference: () => measure(echoUrl, SECONDS),
    },
    {
      onFigure: (name, value) => {
        context.say(`post: ${name} ${formatNumber(value)} requests/s`);
      },
    },
  );
  await system.stop();
  return [
    {
      name: 'post: POST /prompt',
      unit: 'requests/s',
      tiercel: Math.max(...figures.tiercel),
      reference: { name: 'Express JSON echo', value: Math.max(...figures.reference) },
      aim: { ratio: { atLeast: 0.5 } },
    },
  ];
};
