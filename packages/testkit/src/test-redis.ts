import { startRedisServer, type RedisServer } from '@tiercel/redis-server';
import { connectRedis, createLogger } from '@tiercel/runtime';
import { makeTempFolder, onStopEverything } from './cleanup.ts';

export interface TestRedis {
  readonly url: string;
  /** The folder with its append-only file. */
  readonly dataDir: string;
  /** Of the present server process; changes with a restart. */
  readonly pid: number;
  /** kill -9, and waits for the end. */
  kill9(): Promise<void>;
  /** An orderly end; the data stays for `restart`. */
  stop(): Promise<void>;
  /** Starts it again on the same data and the same URL; a running one is stopped before. */
  restart(): Promise<void>;
  /** Deletes every key. */
  flush(): Promise<void>;
}

export interface TestRedisOptions {
  /** `port` for clients that cannot use a unix socket; default: a socket. */
  readonly listen?: 'socket' | 'port';
}

/** A real Redis with an append-only file in a folder of its own; `stopEverything` ends it. */
export async function startTestRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const dataDir = makeTempFolder();
  const start = (): Promise<RedisServer> =>
    startRedisServer({ dataDir, say: () => undefined, listen: options.listen ?? 'socket' });
  let server = await start();
  const kill9 = (): Promise<void> => server.kill();
  onStopEverything(kill9);
  return {
    get url() {
      return server.url;
    },
    dataDir,
    get pid() {
      return server.pid;
    },
    kill9,
    stop: () => server.stop(),
    restart: async () => {
      await server.stop();
      server = await start();
    },
    flush: async () => {
      const log = createLogger({ level: 'silent', name: 'testkit' });
      const redis = connectRedis(server.url, 'subscriber', log);
      try {
        await redis.flushall();
      } finally {
        redis.disconnect();
      }
    },
  };
}
