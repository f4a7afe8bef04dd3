import { AppError } from '@tiercel/contracts';
import { Redis, type RedisOptions } from 'ioredis';
import { inTime, LATE } from './waiting.ts';
import type { Logger } from './logger.ts';
import { RedisConnectionError } from './redis-trouble.ts';
import { sleep } from './timers.ts';
import { writeTogether } from './write-together.ts';

export type { Redis };

/**
 * - `commands`: fails fast while Redis is away, so that the API can answer 503 instead of hanging.
 * - `subscriber`: waits for Redis; EventSubscriber subscribes again after a reconnect.
 * - `patient`: a worker's commands: they wait for Redis, because a job that ran must be recorded.
 * - `blocking`: what BullMQ workers need (no retry limit).
 */
export type ConnectionRole = 'commands' | 'subscriber' | 'patient' | 'blocking';

const MAX_RECONNECT_DELAY_MS = 1_000;
/**
 * A connection that was ended is dropped after this, when Redis does not end it too. ioredis sets this timer
 * also for one that Redis has closed already; with its own 2 s it would keep a process for as long.
 */
const DISCONNECT_LIMIT_MS = 300;

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
    // EventSubscriber does it itself: it must know when every channel is back.
    autoResubscribe: false,
    enableReadyCheck: true,
    connectTimeout: 5_000,
    disconnectTimeout: DISCONNECT_LIMIT_MS,
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

const QUIT_LIMIT_MS = 500;

/** Ends a connection: what is under way is finished, unless Redis is away or hangs. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === 'ready') await inTime(redis.quit(), QUIT_LIMIT_MS);
  redis.disconnect();
}

const ASK_EVERY_MS = 100;

/**
 * Waits until a connection answers, whatever Redis does: refuses, hangs, loads, or asks for another password.
 * @throws AppError redis_unreachable after `timeoutMs`, or as soon as Redis refuses the login
 */
export async function waitForRedis(redis: Redis, timeoutMs: number): Promise<void> {
  const waiting = { isOver: false };
  let refusal: Error | undefined;
  let refuse: () => void = () => undefined;
  const refused = new Promise<void>((resolve) => {
    refuse = resolve;
  });
  const note = (error: unknown): void => {
    if (!isLoginRefusal(error)) return;
    refusal = error;
    refuse();
  };
  // Which errors a command gets and which only the connection does depends on its role.
  redis.on('error', note);
  const answered = async (): Promise<void> => {
    while (!waiting.isOver) {
      try {
        await redis.ping();
        return;
      } catch (error) {
        note(error);
        await sleep(ASK_EVERY_MS);
      }
    }
  };
  try {
    const outcome = await inTime(Promise.race([answered(), refused]), timeoutMs);
    if (refusal === undefined && outcome !== LATE) return;
  } finally {
    waiting.isOver = true;
    redis.off('error', note);
  }
  throw new AppError('redis_unreachable', describeUnreachable(redis, refusal), { cause: refusal });
}

/** Asking again does not help: the password in REDIS_URL is another one, or lacks. */
function isLoginRefusal(error: unknown): error is Error {
  return error instanceof Error && /^(NOAUTH|WRONGPASS|ERR invalid password)/.test(error.message);
}

function describeUnreachable(redis: Redis, refusal: Error | undefined): string {
  const where = `Redis at ${describeRedis(redis)}`;
  if (refusal === undefined) {
    // Connected, and the first question is not answered.
    const isThere = redis.status === 'connect';
    return isThere
      ? `${where} does not answer: it takes connections, but hangs or still loads its data.`
      : `${where} does not answer.`;
  }
  return refusal.message.startsWith('NOAUTH')
    ? `${where} asks for a password; put it into REDIS_URL (redis://:password@host:port).`
    : `${where} refuses the name or password in REDIS_URL.`;
}

/** Host and port, or socket path: never the password. */
function describeRedis(redis: Redis): string {
  const { path, host, port } = redis.options;
  return path ?? `${host ?? 'localhost'}:${String(port ?? 6379)}`;
}

/**
 * Room that a subscriber needs in Redis: events of many jobs at once, each of up to `queue.maxEventBytes`,
 * while its process is busy with something else.
 */
const MIN_PUBSUB_HARD_BYTES = 16 * 1024 * 1024;
const MIN_PUBSUB_SOFT_BYTES = 4 * 1024 * 1024;

/** What an operator should know about this Redis: settings that lose jobs, or events for a while. */
export async function findRedisProblems(redis: Redis): Promise<string[]> {
  const problems: string[] = [];
  try {
    const config = await redis.config(
      'GET',
      ...['appendonly', 'maxmemory-policy', 'client-output-buffer-limit'],
    );
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
    problems.push(...findPubsubProblems(settings.get('client-output-buffer-limit') ?? ''));
  } catch {
    // Managed services forbid CONFIG; there is nothing to say then.
  }
  return problems;
}

/** @param limits `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60` */
function findPubsubProblems(limits: string): string[] {
  const [, hard, soft] = /pubsub (\d+) (\d+) \d+/.exec(limits)?.map(Number) ?? [];
  if (hard === undefined || soft === undefined) return [];
  const setting = `client-output-buffer-limit pubsub is ${hard} ${soft}`;
  const advice = 'set it to 32mb 8mb 60 or more';
  if (hard === 0) {
    return [`${setting}: without a limit an API that hangs fills the memory of Redis; ${advice}`];
  }
  const isTooSmall = hard < MIN_PUBSUB_HARD_BYTES || (soft > 0 && soft < MIN_PUBSUB_SOFT_BYTES);
  return isTooSmall
    ? [`${setting}: an API that is busy for a moment is cut off and events are late; ${advice}`]
    : [];
}
