import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { AppError } from '@tiercel/contracts';
import { sleep, startTimer } from '@tiercel/runtime';
import { Redis, type RedisOptions } from 'ioredis';
import { findRedisServer } from './find-redis-server.ts';
import { lockRedisFolder, MAX_SOCKET_PATH_BYTES } from './folder-lock.ts';
import { spawnGuarded, STOP_SECONDS, type GuardedChild } from './guarded-child.ts';

const START_TIMEOUT_MS = 10_000;
/** An append-only file of some gigabytes takes minutes to load. */
const LOAD_TIMEOUT_MS = 15 * 60_000;
const STOP_TIMEOUT_MS = STOP_SECONDS * 1_000;
const TAKEOVER_WAIT_MS = 20_000;
const ASK_TIMEOUT_MS = 3_000;
const POLL_MS = 25;

export interface RedisServerOptions {
  /** Tiercel's data folder; Redis keeps its files in `redis/` below it. */
  readonly dataDir: string;
  /** Called with one line for the operator: an installation, a wait, a warning of Redis. */
  readonly say: (line: string) => void;
  /** Where to listen; default: a unix socket in the data folder, or a loopback port when its path is too long. */
  readonly listen?: 'socket' | 'port';
  /** Seconds that Redis lives on when this process dies without stopping it; default 0. */
  readonly lingerSeconds?: number;
  /** Gives the start up; the server is stopped then. */
  readonly signal?: AbortSignal | undefined;
}

export interface RedisServer {
  /** `unix:///path` or `redis://:password@127.0.0.1:port`; the same after a restart on the same folder. */
  readonly url: string;
  readonly pid: number;
  /** Ends when the server has ended, for whatever reason; never rejects. */
  readonly exited: Promise<void>;
  /** Lets Redis write everything and waits for its end. */
  stop(): Promise<void>;
  /** kill -9, and waits for the end. */
  kill(): Promise<void>;
}

/**
 * Starts Redis with append-only persistence and waits until it serves (also while it loads).
 * @throws AppError redis_not_found when there is none, it does not start, or another process uses the folder;
 *         the reason of `signal`
 */
export async function startRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  const { say, signal } = options;
  signal?.throwIfAborted();
  const command = await findRedisServer({ say, signal });
  const folder = resolve(options.dataDir, 'redis');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = await lockRedisFolder(folder);
  try {
    await stopOrphan(folder, say, signal);
    const url = await chooseUrl(folder, options.listen);
    writePrivate(join(folder, 'url'), url);
    writePrivate(join(folder, 'redis.conf'), describeConfig(folder, url));
    const child = spawnGuarded(command, join(folder, 'redis.conf'), options.lingerSeconds ?? 0);
    void child.exited.then(lock.release);
    await waitUntilServing(url, child, { say, signal });
    return createHandle(url, child);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function createHandle(url: string, child: GuardedChild): RedisServer {
  return {
    url,
    pid: child.pid,
    exited: child.exited,
    stop: () => endChild(child),
    kill: async () => {
      child.process.kill('SIGKILL');
      await child.exited;
    },
  };
}

/** In order; one that hangs is woken, and killed when its time is over. */
async function endChild({ process, exited }: GuardedChild): Promise<void> {
  process.kill('SIGTERM');
  process.kill('SIGCONT');
  const timer = startTimer(() => process.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** Keeps the URL of an earlier run where it can: processes that know it go on after a restart. */
async function chooseUrl(folder: string, listen: 'socket' | 'port' | undefined): Promise<string> {
  const socket = join(folder, 'redis.sock');
  const tooLong = Buffer.byteLength(socket) > MAX_SOCKET_PATH_BYTES;
  if (listen !== 'port' && !tooLong) return `unix://${socket}`;
  const earlier = readEarlierUrl(folder);
  if (earlier?.startsWith('redis://') && (await findFreePort(Number(new URL(earlier).port)))) {
    return earlier;
  }
  const port = await findFreePort(0);
  if (port === undefined) throw new AppError('redis_not_found', 'No free port for Redis.');
  // Any user of the machine can reach a loopback port, so this one asks for a password.
  return `redis://:${randomBytes(24).toString('hex')}@127.0.0.1:${String(port)}`;
}

/** @returns the port when it is free (or a free one for 0), else undefined */
function findFreePort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(undefined);
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' ? address?.port : undefined);
      });
    });
  });
}

function describeConfig(folder: string, url: string): string {
  const lines = [
    '# Written by Tiercel at every start.',
    `dir ${quote(folder)}`,
    'daemonize no',
    'appendonly yes',
    'appendfsync everysec',
    'maxmemory-policy noeviction',
    'save ""',
    'loglevel warning',
  ];
  if (url.startsWith('unix://')) {
    lines.push('port 0', `unixsocket ${quote(url.slice('unix://'.length))}`, 'unixsocketperm 700');
  } else {
    const { port, password } = new URL(url);
    lines.push('bind 127.0.0.1', `port ${port}`, `requirepass ${password}`);
  }
  return `${lines.join('\n')}\n`;
}

const quote = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;

function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600); // `mode` is only for new files
}

/** @param folder that of a Redis of Tiercel's */
export function readEarlierUrl(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'url'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

async function waitUntilServing(
  url: string,
  child: GuardedChild,
  { say, signal }: Pick<RedisServerOptions, 'say' | 'signal'>,
): Promise<void> {
  const startedAt = Date.now();
  let loading = false;
  while (Date.now() - startedAt < (loading ? LOAD_TIMEOUT_MS : START_TIMEOUT_MS)) {
    if (child.process.exitCode !== null || child.process.signalCode !== null) break;
    if (signal?.aborted === true) {
      await endChild(child);
      signal.throwIfAborted();
    }
    const info = await askOnce(url, (redis) => redis.info());
    if (typeof info === 'object') {
      if (!info.answer.includes(`process_id:${String(child.pid)}\r`)) break;
      if (!info.answer.includes('\nloading:1')) return;
      if (!loading) say('Redis is loading its data.');
      loading = true;
    }
    await sleep(POLL_MS);
  }
  child.process.kill('SIGKILL');
  await child.exited;
  const received = child.tail.filter((line) => line.trim() !== '').join('\n  ');
  throw new AppError(
    'redis_not_found',
    `Redis did not start. ${received === '' ? 'It said nothing.' : `It said:\n  ${received}`}`,
  );
}

/**
 * A Redis that still runs on this folder although we hold its lock belongs to a Tiercel that was
 * killed. Its workers may be finishing jobs: they get a while, then Redis is asked to end.
 */
async function stopOrphan(
  folder: string,
  say: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const url = readEarlierUrl(folder);
  if (url === undefined) return;
  const orphan = await askOnce(url, (redis) => redis.info('server'));
  if (orphan === 'silent' && url.startsWith('unix://')) throw orphanRemains(folder);
  if (orphan === 'silent' || orphan === 'nobody') return;
  say('An earlier Tiercel was killed; waiting for its processes to end.');
  const deadline = Date.now() + TAKEOVER_WAIT_MS;
  while (Date.now() < deadline) {
    const clients = await askOnce(url, (redis) => redis.call('CLIENT', 'LIST'));
    if (typeof clients === 'string' || clients.answer.trim().split('\n').length <= 1) break;
    await sleep(POLL_MS * 4, signal);
  }
  // The append-only file is complete; it is closed in order. The connection ends without an answer.
  await askOnce(url, (redis) => redis.call('SHUTDOWN'));
  while (Date.now() < deadline + STOP_TIMEOUT_MS) {
    if ((await askOnce(url, (redis) => redis.ping())) === 'nobody') return;
    await sleep(POLL_MS, signal);
  }
  throw orphanRemains(folder);
}

function orphanRemains(folder: string): AppError {
  return new AppError(
    'redis_not_found',
    `A Redis of an earlier run still uses ${folder} and does not end. Kill it, then start again.`,
  );
}

/**
 * One command on a connection of its own. A port of an earlier run may belong to another program now:
 * what refuses the password or is no Redis counts as nobody.
 */
export async function askOnce(
  url: string,
  ask: (redis: Redis) => Promise<unknown>,
): Promise<{ answer: string } | 'nobody' | 'silent'> {
  const options = {
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    // ioredis waits for the end of a connection that has ended already, or never was.
    disconnectTimeout: POLL_MS,
  } satisfies RedisOptions;
  const redis = new Redis(url.replace(/^unix:\/\//, ''), options);
  redis.on('error', () => undefined); // told by the result
  const startedAt = performance.now();
  const timer = setTimeout(() => {
    redis.disconnect();
  }, ASK_TIMEOUT_MS);
  try {
    await redis.connect();
    return { answer: String(await ask(redis)) };
  } catch {
    return performance.now() - startedAt >= ASK_TIMEOUT_MS - 1 ? 'silent' : 'nobody';
  } finally {
    clearTimeout(timer);
    redis.disconnect();
  }
}
