import { startRedisServer, type RedisServer } from '@tiercel/redis-server';
import {
  connectRedis,
  createLogger,
  findRedisProblems,
  sleep,
  waitForRedis,
  type Config,
} from '@tiercel/runtime';
import { stopLimitMs } from './supervised-child.ts';

export interface RedisSource {
  readonly url: string;
  /** For the banner: whose it is. */
  readonly description: string;
  /** What an operator should know about it. */
  readonly warnings: readonly string[];
  stop(): Promise<void>;
}

interface RedisHooks {
  readonly say: (line: string) => void;
  /** The Redis we run cannot come back in a way that the others would notice. */
  readonly onLost: (why: string) => void;
  /** Gives up getting one. */
  readonly signal: AbortSignal;
}

const REACH_TIMEOUT_MS = 5_000;
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 30_000;

/**
 * The Redis to use: REDIS_URL when it is set, else one of our own.
 * @throws AppError redis_unreachable, redis_not_found; the reason of the signal
 */
export async function openRedis(config: Config, hooks: RedisHooks): Promise<RedisSource> {
  return config.redisUrl === undefined ? startOwn(config, hooks) : reachOther(config.redisUrl);
}

async function reachOther(url: string): Promise<RedisSource> {
  const redis = connectRedis(url, 'commands', createLogger({ level: 'silent', name: 'launcher' }));
  try {
    await waitForRedis(redis, REACH_TIMEOUT_MS);
    const warnings = await findRedisProblems(redis);
    return { url, description: describeUrl(url), warnings, stop: () => Promise.resolve() };
  } finally {
    redis.disconnect();
  }
}

/** Without user and password. */
function describeUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol === 'unix:' ? pathname : host} (REDIS_URL)`;
}

async function startOwn(config: Config, hooks: RedisHooks): Promise<RedisSource> {
  const start = (signal: AbortSignal): Promise<RedisServer> =>
    startRedisServer({
      ...{ dataDir: config.dataDir, say: hooks.say, signal },
      lingerSeconds: Math.ceil(stopLimitMs(config) / 1000),
    });
  const stopping = new AbortController();
  let server = await start(hooks.signal);
  const { url, pid } = server;

  const startAgain = async (): Promise<boolean> => {
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
      try {
        await sleep(delayMs, stopping.signal);
        server = await start(stopping.signal);
        return true;
      } catch (error) {
        if (stopping.signal.aborted) return false;
        hooks.say(error instanceof Error ? error.message : 'Redis did not start.');
      }
    }
  };
  const keepRunning = async (): Promise<void> => {
    for (;;) {
      await server.exited;
      if (stopping.signal.aborted) return;
      hooks.say('Redis ended unexpectedly; starting it again on the same data.');
      if (!(await startAgain())) return;
      if (server.url !== url) {
        hooks.onLost(`The port of Redis was taken while it was away.`);
        return;
      }
      hooks.say('Redis is back.');
    }
  };
  const watching = keepRunning();

  return {
    url,
    description: `started here (process ${pid}), data in ${config.dataDir}/redis`,
    warnings: [],
    stop: async () => {
      stopping.abort();
      await server.stop();
      // One that is just being started is given up by the signal.
      await watching;
      await server.stop();
    },
  };
}
