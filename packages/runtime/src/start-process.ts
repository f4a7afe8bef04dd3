import { AppError, RedisNames } from '@tiercel/contracts';
import { listSecrets } from './config/list-secrets.ts';
import { loadConfig, type Config } from './config/load.ts';
import { inTime, LATE } from './waiting.ts';
import { endWhenUncaught, Lifecycle } from './lifecycle.ts';
import { createLogger, type Logger } from './logger.ts';
import {
  closeRedis,
  connectRedis,
  DEFAULT_REDIS_URL,
  findRedisProblems,
  waitForRedis,
  type ConnectionRole,
  type Redis,
} from './redis.ts';
import { RedisWatch } from './redis-watch.ts';
import { stopWithParent } from './supervised.ts';

const REDIS_WAIT_MS = 10_000;
/** The key that probes write lives a minute beyond the last of them. */
const PROBE_TTL_MS = 60_000;

/** What an API and a worker process have in common. */
export interface RunningProcess {
  readonly config: Config;
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  readonly names: RedisNames;
  /** For commands; it answers already. */
  readonly redis: Redis;
  /** Whether Redis serves. */
  readonly redisWatch: RedisWatch;
  /** For subscriptions. */
  readonly subscriberConnection: Redis;
  /** A further connection, closed with the process. */
  connect(role: ConnectionRole): Redis;
  /**
   * For what a start waits for and Redis must answer: commands that wait for Redis wait for ever.
   * @throws AppError redis_unreachable, or what the work throws
   */
  whileStarting<T>(work: Promise<T>): Promise<T>;
}

/**
 * Reads the configuration, obeys signals, and connects to Redis.
 * @param role how this process's commands behave while Redis is away
 * @param checkConfig refuses what this kind of process must not be started with
 * @throws AppError config_invalid, redis_unreachable
 */
export async function startProcess(
  name: string,
  role: 'commands' | 'patient',
  checkConfig: (config: Config) => Promise<void> = () => Promise.resolve(),
): Promise<RunningProcess> {
  const config = loadConfig();
  await checkConfig(config);
  const holder: { watch?: RedisWatch } = {};
  const log = createLogger({
    ...{ level: config.logLevel, name, secrets: listSecrets(config) },
    isLogged: (error) => holder.watch?.note(error) === true,
  });
  const lifecycle = new Lifecycle(log);
  lifecycle.closeOnSignals();
  // A promise that a plug-in forgot must not end the process and with it the jobs of others.
  process.on('unhandledRejection', (error) => {
    log.error({ err: error }, 'a rejection that nobody handled');
  });
  endWhenUncaught((error) => {
    log.fatal({ err: error }, 'an error that nobody caught: this process ends');
  });
  stopWithParent(lifecycle);
  const connect = (as: ConnectionRole): Redis => {
    const redis = connectRedis(config.redisUrl ?? DEFAULT_REDIS_URL, as, log);
    lifecycle.onClose(`redis (${as})`, () => closeRedis(redis));
    return redis;
  };
  const redis = connect(role);
  await waitForRedis(redis, REDIS_WAIT_MS);
  const whileStarting = async <T>(work: Promise<T>): Promise<T> => {
    const done = await inTime(work, REDIS_WAIT_MS);
    if (done !== LATE) return done;
    throw new AppError('redis_unreachable', 'Redis stopped answering during the start.');
  };
  for (const problem of await whileStarting(findRedisProblems(redis)))
    log.warn({ problem }, 'redis settings');
  const names = new RedisNames(config.redisPrefix);
  const redisWatch = new RedisWatch({
    write: () => redis.set(names.probe, name, 'PX', PROBE_TTL_MS),
    log,
  });
  holder.watch = redisWatch;
  lifecycle.onClose('redis watch', () => {
    redisWatch.stop();
  });
  const subscriberConnection = connect('subscriber');
  return {
    config,
    log,
    lifecycle,
    names,
    redis,
    redisWatch,
    subscriberConnection,
    connect,
    whileStarting,
  };
}
