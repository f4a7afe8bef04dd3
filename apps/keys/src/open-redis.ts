import { findRunningRedis, startRedisServer } from '@tiercel/redis-server';
import {
  connectRedis,
  createLogger,
  waitForRedis,
  type Config,
  type Redis,
} from '@tiercel/runtime';

const REACH_TIMEOUT_MS = 10_000;

export interface OpenRedis {
  readonly redis: Redis;
  readonly close: () => Promise<void>;
}

/**
 * The Redis that the service uses: that of REDIS_URL, else the one that `npm start` runs now on the data folder, else
 * one on the same data that is started for this command and ends with it.
 * @param say gets lines for the operator
 * @throws AppError redis_unreachable, redis_not_found
 */
export async function openRedis(
  config: Pick<Config, 'redisUrl' | 'dataDir'>,
  say: (line: string) => void,
): Promise<OpenRedis> {
  const { dataDir } = config;
  const url = config.redisUrl ?? (await findRunningRedis(dataDir, REACH_TIMEOUT_MS));
  if (url !== undefined) return await connect(url, () => Promise.resolve());
  const own = await startRedisServer({ dataDir, say });
  return await connect(own.url, () => own.stop());
}

async function connect(url: string, stop: () => Promise<void>): Promise<OpenRedis> {
  const redis = connectRedis(url, 'commands', createLogger({ level: 'silent', name: 'keys' }));
  const close = async (): Promise<void> => {
    redis.disconnect();
    await stop();
  };
  try {
    await waitForRedis(redis, REACH_TIMEOUT_MS);
  } catch (error) {
    await close();
    throw error;
  }
  return { redis, close };
}
