import { AppError } from '@tiercel/contracts';
import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from './logger.ts';
import { RedisConnectionError } from './redis-trouble.ts';
import { writeTogether } from './write-together.ts';

export type { Redis };

/**
 * - `commands`: fails fast while Redis is away, so that the API can answer 503 instead of hanging.
 * - `subscriber`: waits for Redis and re-subscribes by itself.
 * - `patient`: a worker's commands: they wait for Redis, because a job that ran must be recorded.
 * - `blocking`: what BullMQ workers need (no retry limit).
 */
export type ConnectionRole = 'commands' | 'subscriber' | 'patient' | 'blocking';

const MAX_RECONNECT_DELAY_MS = 1_000;

/** Where a single API or worker process looks without REDIS_URL (`npm start` starts a Redis instead). */
export const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379';

/**
 * One Redis connection. Reconnects for ever with a short, bounded delay: a Redis restart must end in
 * everything going on by itself.
 * @param url `redis://`, `rediss://` or `unix:///path/to.sock`
 */
export function connectRedis(url: string, role: ConnectionRole, log: Logger): Redis {
  const options = {
    retryStrategy: (times: number) => Math.min(times * 50, MAX_RECONNECT_DELAY_MS),
    maxRetriesPerRequest: role === 'commands' ? 1 : null,
    enableOfflineQueue: role !== 'commands',
    autoResubscribe: true,
    enableReadyCheck: true,
    connectTimeout: 5_000,
    // A Redis that accepts but does not answer must not hold requests for ever.
    ...(role === 'commands' ? { commandTimeout: 10_000 } : {}),
  } satisfies RedisOptions;
  // ioredis takes a bare path for a unix socket.
  const redis = new Redis(url.replace(/^unix:\/\//, ''), options);
  redis.on('connect', () => {
    writeTogether(redis.stream);
  });
  let reported = false;
  redis.on('error', (error: Error) => {
    // One line per outage, not one per attempt.
    const err = new RedisConnectionError(error);
    if (!reported) log.warn({ err, role }, 'redis connection lost');
    reported = true;
  });
  redis.on('ready', () => {
    if (reported) log.debug({ role }, 'redis connection is back');
    reported = false;
  });
  return redis;
}

/** Ends a connection: what is under way is finished, unless Redis is away. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === 'ready') await redis.quit();
  else redis.disconnect();
}

/**
 * Waits until a connection answers.
 * @throws AppError redis_unreachable after `timeoutMs`
 */
export async function waitForRedis(redis: Redis, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      await redis.ping();
      return;
    } catch (error) {
      last = error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
  throw new AppError('redis_unreachable', `Redis at ${describeRedis(redis)} does not answer.`, {
    cause: last,
  });
}

/** Host and port, or socket path: never the password. */
function describeRedis(redis: Redis): string {
  const { path, host, port } = redis.options;
  return path ?? `${host ?? 'localhost'}:${String(port ?? 6379)}`;
}

/** What an operator should know about this Redis: settings that lose jobs. */
export async function findDurabilityProblems(redis: Redis): Promise<string[]> {
  const problems: string[] = [];
  try {
    const config = await redis.config('GET', 'appendonly', 'maxmemory-policy');
    const settings = new Map<string, string>();
    for (let i = 0; i + 1 < config.length; i += 2)
      settings.set(config[i] ?? '', config[i + 1] ?? '');
    if (settings.get('appendonly') === 'no') {
      problems.push('appendonly is off: a restart of Redis loses jobs');
    }
    const policy = settings.get('maxmemory-policy');
    if (policy !== undefined && policy !== 'noeviction') {
      problems.push(`maxmemory-policy is ${policy}: Redis may drop jobs; set noeviction`);
    }
  } catch {
    // Managed services forbid CONFIG; there is nothing to say then.
  }
  return problems;
}
