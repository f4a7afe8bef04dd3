import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { AppError } from '@tiercel/contracts';
import { parse as parseYaml } from 'yaml';
import type { z } from 'zod';
import { envSchema } from './env-schema.ts';
import { type FileConfig, fileSchema } from './file-schema.ts';
import { tierSchema, type TierConfig } from './tier-schema.ts';

export interface Config extends Readonly<FileConfig> {
  /** Path of the YAML file, whether it exists or not. */
  readonly configFile: string;
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly redisUrl: string | undefined;
  readonly redisPrefix: string;
  readonly workerProcesses: number;
  readonly workerConcurrency: number;
  readonly nodesDir: string | undefined;
  readonly metricsPort: number | undefined;
  readonly logLevel: z.infer<typeof envSchema>['LOG_LEVEL'];
}

const DEFAULT_FILE = './tiercel.config.yaml';

/**
 * Reads the environment and the YAML file it names into one frozen object.
 * @throws AppError config_invalid, naming every problem of both at once
 */
export function loadConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const problems: string[] = [];
  // An empty variable is an unset one: docker-compose and CI pass those.
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const environment = envSchema.safeParse(set);
  if (!environment.success) problems.push(...describe('', environment.error));

  const file = readFile(set.TIERCEL_CONFIG, set, problems);
  const parsed = fileSchema.safeParse(file ?? {});
  if (!parsed.success) problems.push(...describe(set.TIERCEL_CONFIG ?? DEFAULT_FILE, parsed.error));

  if (!environment.success || !parsed.success || problems.length > 0) {
    throw new AppError(
      'config_invalid',
      `The configuration has problems:\n  ${problems.join('\n  ')}`,
    );
  }
  const e = environment.data;
  return deepFreeze({
    ...parsed.data,
    tiers: parsed.data.tiers.length > 0 ? parsed.data.tiers : [defaultTier(e.COMFYUI_URL)],
    configFile: resolve(set.TIERCEL_CONFIG ?? DEFAULT_FILE),
    host: e.HOST,
    port: e.PORT,
    dataDir: resolve(e.DATA_DIR),
    redisUrl: e.REDIS_URL,
    redisPrefix: e.REDIS_PREFIX,
    workerProcesses: e.WORKER_PROCESSES,
    workerConcurrency: e.WORKER_CONCURRENCY,
    nodesDir: e.NODES_DIR === undefined ? undefined : resolve(e.NODES_DIR),
    metricsPort: e.METRICS_PORT,
    logLevel: e.LOG_LEVEL,
  });
}

function defaultTier(comfyUiUrl: string | undefined): TierConfig {
  return tierSchema.parse(
    comfyUiUrl === undefined
      ? { name: 'embedded', driver: 'embedded' }
      : { name: 'comfyui', driver: 'comfyui', urls: [comfyUiUrl] },
  );
}

function readFile(
  path: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): unknown {
  const name = path ?? DEFAULT_FILE;
  if (path === undefined && !existsSync(name)) return undefined;
  try {
    const text = readFileSync(name, 'utf8');
    return expand(parseYaml(text), env, name, problems);
  } catch (cause) {
    problems.push(
      `${name}: ${cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : 'unreadable'}`,
    );
    return undefined;
  }
}

/** Replaces `${NAME}` inside string values by the environment; a name that is not set is a problem. */
function expand(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  where: string,
  problems: string[],
): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{(\w+)\}/g, (_, name: string) => {
      const found = env[name];
      if (found === undefined) problems.push(`${where}: \${${name}} is not set in the environment`);
      return found ?? '';
    });
  }
  if (Array.isArray(value)) return value.map((item) => expand(item, env, where, problems));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, expand(item, env, where, problems)]),
    );
  }
  return value;
}

function describe(source: string, error: z.ZodError): string[] {
  return error.issues.map((issue) => {
    const path = issue.path.join('.');
    return [source, path, issue.message].filter((part) => part !== '').join(': ');
  });
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}
