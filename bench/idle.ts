import { setTimeout as sleep } from 'node:timers/promises';
import { http } from '@tiercel/testkit';
import { alternate, type Benchmark } from './benchmark.ts';
import { formatNumber } from './figures.ts';
import { takeColors } from './prompts.ts';
import { startRole } from './role-process.ts';
import { startBenchSystem } from './system.ts';

const FEW = 10;
const MANY = 2_000;
const SAMPLES = 200;
const WARM_UP_SAMPLES = 300;
const SETTLE_MS = 500;
const READINGS = 12;
const READING_INTERVAL_MS = 400;

/** What open sockets that do nothing cost: time of somebody else's job, and memory of the API. */
export const benchIdle: Benchmark = async (context) => {
  const system = await startBenchSystem(context);
  const hold = startRole('holdSockets');
  const time = startRole('timeJobs');
  const { url } = system;
  const runJobs = (samples: number) =>
    time({ urls: [url], samples, job: { kind: 'picture' }, firstColor: takeColors(samples) });

  // Memory first: later the heap has room that jobs and earlier sockets left behind.
  await hold({ url, count: FEW });
  const before = await readSmallestRss(url);
  await hold({ url, count: MANY });
  const after = await readSmallestRss(url);
  const kilobytes = (after - before) / (MANY - FEW) / 1_000;
  context.say(`idle: ${formatNumber(kilobytes)} KB per socket`);
  await runJobs(WARM_UP_SAMPLES);

  const p99s = { few: Infinity, many: Infinity };
  const measure = (name: keyof typeof p99s, count: number) => async (): Promise<number> => {
    await hold({ url, count });
    await sleep(SETTLE_MS);
    const { medianMs, p99Ms } = await runJobs(SAMPLES);
    p99s[name] = Math.min(p99s[name], p99Ms);
    return medianMs;
  };
  const medians = await alternate(
    { few: measure('few', FEW), many: measure('many', MANY) },
    {
      onFigure: (name, value) => {
        context.say(`idle: ${name} sockets, median ${formatNumber(value)} ms`);
      },
    },
  );
  await system.stop();
  return [
    {
      name: `idle: job with ${MANY} idle sockets, median`,
      unit: 'ms',
      tiercel: Math.min(...medians.many),
      reference: { name: `${FEW} idle sockets`, value: Math.min(...medians.few) },
      aim: { ratio: { atMost: 1.5 } },
    },
    {
      name: `idle: job with ${MANY} idle sockets, p99`,
      unit: 'ms',
      tiercel: p99s.many,
      reference: { name: `${FEW} idle sockets`, value: p99s.few },
    },
    {
      name: 'idle: memory of the API per idle socket',
      unit: 'KB',
      tiercel: kilobytes,
      aim: { value: { atMost: 30 } },
    },
  ];
};

/** Garbage that is not collected yet is no cost of a socket: the smallest of several readings. Bytes. */
async function readSmallestRss(url: string): Promise<number> {
  let smallest = Infinity;
  for (let reading = 0; reading < READINGS; reading += 1) {
    await sleep(READING_INTERVAL_MS);
    const { text } = await http(url).get('/metrics');
    const line = /^comfy_process_resident_memory_bytes\S* (\S+)$/m.exec(text)?.[1];
    if (line === undefined) throw new Error('/metrics does not tell the resident memory');
    smallest = Math.min(smallest, Number(line));
  }
  return smallest;
}
