import { setTimeout as sleep } from 'node:timers/promises';
import { alternate, type Benchmark } from './benchmark.ts';
import { formatNumber, type Figure } from './figures.ts';
import { takeColors } from './prompts.ts';
import { startRole } from './role-process.ts';
import { startBenchSystem, type BenchSystem } from './system.ts';

const TENANTS = 1_000;
const JOBS = 1_500;
const POSTS = 3_000;
const CONNECTIONS = 32;
const CONCURRENCY = 8;
const ADMIN = 'the-admin-key-of-this-benchmark';
/** Limits that are never reached: they are asked for at each job all the same. */
const PLAN =
  '{ weight: 1, maxRunning: 100, maxPending: 100000, jobsPerDay: 1000000, maxPixels: 4000000 }';
const QUEUE = 'queue: { maxPending: 1000000 }';

/** Prompts of a thousand tenants with keys, in turn, beside those of nobody in particular (`auth.mode: open`). */
export const benchTenants: Benchmark = async (context) => {
  const drive = startRole('driveLoad');
  const post = async (system: BenchSystem, count: number, apiKeys: readonly string[]) => {
    const found = await drive({
      ...{ url: system.url, path: '/prompt', connections: CONNECTIONS, apiKeys },
      bodies: { output: 'PreviewImage', firstColor: takeColors(count), colors: 'distinct' },
      stopAfter: { requests: count },
    });
    return found.perSecond;
  };
  const runJobs = async (system: BenchSystem, apiKeys: readonly string[]) => {
    const startedAt = performance.now();
    await post(system, JOBS, apiKeys);
    await waitUntilAllEnded(system.url);
    return JOBS / ((performance.now() - startedAt) / 1_000);
  };
  const env = { WORKER_CONCURRENCY: String(CONCURRENCY) };
  const open = await startBenchSystem(context, { env, configYaml: `${QUEUE}\n` });
  const auth = `auth: { mode: required, adminKey: ${ADMIN} }`;
  const many = await startBenchSystem(context, {
    env,
    configYaml: `${QUEUE}\n${auth}\nplans: { many: ${PLAN} }\n`,
  });
  const apiKeys = await makeKeys(many.url);

  const figures: Figure[] = [];
  const compare = async (
    name: string,
    unit: string,
    measure: (system: BenchSystem, apiKeys: readonly string[]) => Promise<number>,
  ): Promise<void> => {
    const contenders = { tenants: () => measure(many, apiKeys), open: () => measure(open, []) };
    for (const warmUp of Object.values(contenders)) await warmUp();
    const found = await alternate(contenders, {
      onFigure: (who, value) => {
        context.say(`${name}: ${who} ${formatNumber(value)} ${unit}`);
      },
    });
    figures.push({
      ...{ name, unit, tiercel: Math.max(...found.tenants) },
      reference: { name: 'auth.mode: open', value: Math.max(...found.open) },
      aim: { ratio: { atLeast: 0.85 } },
    });
  };
  await compare('tenants: jobs of a thousand', 'jobs/s', runJobs);
  await Promise.all([open.stopWorkers(), many.stopWorkers()]);
  await compare('tenants: POST /prompt of a thousand', 'requests/s', (system, keys) =>
    post(system, POSTS, keys),
  );
  await open.stop();
  await many.stop();
  return figures;
};

async function makeKeys(url: string): Promise<string[]> {
  const keys: string[] = [];
  for (let i = 0; i < TENANTS; i += 1) {
    const answer = await fetch(`${url}/admin/v1/keys`, {
      method: 'POST',
      headers: { 'X-API-Key': ADMIN, 'Content-Type': 'application/json' },
      body: JSON.stringify({ tenant: `tenant-${i}`, plan: 'many' }),
    });
    const { key } = (await answer.json()) as { key: string };
    keys.push(key);
  }
  return keys;
}

async function waitUntilAllEnded(url: string): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/admin/v1/queue`, { headers: { 'X-API-Key': ADMIN } });
    const { pending, running } = (await answer.json()) as { pending: number; running: number };
    const left = pending + running;
    if (left === 0) return;
    await sleep(Math.min(100, 10 + left / 20));
  }
}
