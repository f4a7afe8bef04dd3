import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempFolder } from './cleanup.ts';
import { type SpawnedProcess, spawnProcess } from './spawned-process.ts';
import { startTestRedis, type TestRedis } from './test-redis.ts';

export interface ServiceOptions {
  readonly redisUrl: string;
  /** Processes of one system share it. */
  readonly dataDir: string;
  /** Default: `tiercel`; name one when several systems share a Redis. */
  readonly redisPrefix?: string;
  /** More settings, e.g. WORKER_CONCURRENCY; they win over the others. */
  readonly env?: Readonly<Record<string, string>>;
  /** The text of tiercel.config.yaml; default: an empty one. */
  readonly configYaml?: string;
  /** A file of that kind, instead of its text. */
  readonly configFile?: string;
}

/** An API process on a free port of 127.0.0.1 (needs a build). */
export function startApi(options: ServiceOptions): Promise<SpawnedProcess> {
  const env = { HOST: '127.0.0.1', PORT: '0', ...describeEnvironment(options) };
  return spawnProcess({ file: 'apps/api/dist/main.js', env });
}

/** A worker process (needs a build). */
export function startWorker(options: ServiceOptions): Promise<SpawnedProcess> {
  return spawnProcess({ file: 'apps/worker/dist/main.js', env: describeEnvironment(options) });
}

/** What to add to the `env` of a process whose clock is to be wrong by so many ms. */
export function shiftClock(shiftMs: number): Readonly<Record<string, string>> {
  const preload = new URL('../src/fixtures/shift-clock.mjs', import.meta.url).href;
  return { NODE_OPTIONS: `--import=${preload}`, CLOCK_SHIFT_MS: String(shiftMs) };
}

function describeEnvironment(options: ServiceOptions): Record<string, string> {
  // Always a file: the developer's own tiercel.config.yaml must not reach a test.
  const configFile = options.configFile ?? writeConfig(options.configYaml);
  return {
    DATA_DIR: options.dataDir,
    REDIS_URL: options.redisUrl,
    ...(options.redisPrefix === undefined ? {} : { REDIS_PREFIX: options.redisPrefix }),
    TIERCEL_CONFIG: configFile,
    ...options.env,
  };
}

function writeConfig(yaml = '{}\n'): string {
  const file = join(makeTempFolder(), 'tiercel.config.yaml');
  writeFileSync(file, yaml);
  return file;
}

export interface TestSystem {
  readonly redis: TestRedis;
  readonly apis: readonly SpawnedProcess[];
  readonly workers: readonly SpawnedProcess[];
  /** Of the first API. */
  readonly url: string;
  readonly dataDir: string;
  /** What all its processes read. */
  readonly configFile: string;
  /** What every process of the system was started with; for starting more of them. */
  readonly options: ServiceOptions;
}

export interface SystemOptions {
  /** Default 1. */
  readonly apis?: number;
  /** Default 1. */
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly configYaml?: string;
  /** A Redis to share with other systems; default: one of its own. */
  readonly redis?: TestRedis;
}

/** A whole Tiercel: Redis, APIs and workers on one data folder; `stopEverything` ends it. */
export async function startSystem(system: SystemOptions = {}): Promise<TestSystem> {
  const redis = system.redis ?? (await startTestRedis());
  const dataDir = makeTempFolder();
  const configFile = writeConfig(system.configYaml);
  const options: ServiceOptions = {
    redisUrl: redis.url,
    dataDir,
    redisPrefix: `test-${randomBytes(6).toString('hex')}`,
    ...(system.env === undefined ? {} : { env: system.env }),
    configFile,
  };
  const many = (count: number, start: typeof startApi): Promise<SpawnedProcess[]> =>
    Promise.all(Array.from({ length: count }, () => start(options)));
  const [apis, workers] = await Promise.all([
    many(system.apis ?? 1, startApi),
    many(system.workers ?? 1, startWorker),
  ]);
  return { redis, apis, workers, url: apis[0]?.url ?? '', dataDir, configFile, options };
}
