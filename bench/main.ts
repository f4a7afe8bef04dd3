import { availableParallelism, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { stopEverything } from '@tiercel/testkit';
import type { Benchmark } from './benchmark.ts';
import { benchComfyuiOverhead } from './comfyui-overhead.ts';
import { benchComfyuiPool } from './comfyui-pool.ts';
import { benchComfyuiPreviews } from './comfyui-previews.ts';
import { benchFairness } from './fairness.ts';
import { benchFallback } from './fallback.ts';
import { formatTable, type Figure } from './figures.ts';
import { benchIdle } from './idle.ts';
import { benchJobs } from './jobs.ts';
import { benchNodes } from './nodes.ts';
import { benchPage } from './page.ts';
import { benchPost } from './post.ts';
import { playRole, ROLE_FLAG } from './role-process.ts';
import { benchTenants } from './tenants.ts';
import { benchView } from './view.ts';

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  post: benchPost,
  jobs: benchJobs,
  idle: benchIdle,
  view: benchView,
  page: benchPage,
  'comfyui-overhead': benchComfyuiOverhead,
  'comfyui-previews': benchComfyuiPreviews,
  'comfyui-pool': benchComfyuiPool,
  fallback: benchFallback,
  fairness: benchFairness,
  tenants: benchTenants,
  nodes: benchNodes,
};
const USAGE = `npm run bench -- [--profile FOLDER] [--jobs N] [${Object.keys(BENCHMARKS).join('|')}]...\n`;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { profile: { type: 'string' }, jobs: { type: 'string' } },
  });
  const chosen = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS);
  const unknown = chosen.filter((name) => !(name in BENCHMARKS));
  if (unknown.length > 0) throw new Error(`no such benchmark: ${unknown.join(', ')}\n${USAGE}`);

  const figures: Figure[] = [];
  const jobs = readCount(values.jobs);
  const profileDir = values.profile === undefined ? undefined : resolve(values.profile);
  try {
    for (const name of chosen) {
      figures.push(...((await BENCHMARKS[name]?.({ profileDir, jobs, say })) ?? []));
      await stopEverything();
    }
  } finally {
    await stopEverything();
  }
  const load = loadavg()[0] ?? 0;
  say(`\n${new Date().toISOString()}, Node ${process.version}, ${availableParallelism()} cores,`);
  say(`load average of the last minute ${load.toFixed(1)}\n`);
  say(formatTable(figures));
}

function readCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--jobs takes a number\n${USAGE}`);
  return count;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void stopEverything().finally(() => process.exit(130));
  });
}

const [flag, role] = process.argv.slice(2);
if (flag === ROLE_FLAG) {
  playRole(role ?? '');
} else {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
