import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { findRedisServer, startRedisServer, type RedisServer } from './index.ts';

const log = createLogger({ level: 'silent', name: 'test' });
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tiercel-'));
  cleanups.push(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

async function start(dataDir: string): Promise<RedisServer & { said: string[] }> {
  const said: string[] = [];
  const server = await startRedisServer({ dataDir, say: (line) => said.push(line) });
  cleanups.push(() => server.kill());
  return { ...server, said };
}

async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = connectRedis(url, 'subscriber', log);
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function waitForEnd(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(pid) && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20));
  return !isAlive(pid);
}

describe('startRedisServer', () => {
  test('serves on a unix socket, append-only and without eviction', async () => {
    const server = await start(makeFolder());
    expect(server.url).toMatch(/^unix:\/\/.*\/redis\/redis\.sock$/);
    await withRedis(server.url, async (redis) => {
      expect(await redis.config('GET', 'appendonly')).toEqual(['appendonly', 'yes']);
      expect(await redis.config('GET', 'appendfsync')).toEqual(['appendfsync', 'everysec']);
      expect(await redis.config('GET', 'maxmemory-policy')).toEqual([
        'maxmemory-policy',
        'noeviction',
      ]);
      expect(await redis.config('GET', 'save')).toEqual(['save', '']);
      expect(await redis.config('GET', 'port')).toEqual(['port', '0']);
    });
  });

  test('leaves nothing behind that holds its process, nor does a connection that Redis has ended', async () => {
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    const server = await start(makeFolder());
    const redis = connectRedis(server.url, 'patient', log);
    await redis.ping();
    const ended = new Promise((resolve) => redis.once('close', resolve));
    await server.kill();
    await ended;
    redis.disconnect();
    const limit = performance.now() + 1_000;
    while (timers() > before && performance.now() < limit) await immediate();
    expect(timers()).toBeLessThanOrEqual(before);
  });

  test('keeps what was written before a kill -9', async () => {
    const folder = makeFolder();
    const first = await start(folder);
    await withRedis(first.url, (redis) => redis.set('job', 'kept'));
    await first.kill();
    const second = await start(folder);
    expect(second.url).toBe(first.url);
    expect(await withRedis(second.url, (redis) => redis.get('job'))).toBe('kept');
  });

  test('takes a loopback port with a password when the socket path is too long, and keeps it', async () => {
    const folder = join(makeFolder(), 'x'.repeat(120));
    const first = await start(folder);
    expect(first.url).toMatch(/^redis:\/\/:[0-9a-f]{48}@127\.0\.0\.1:\d+$/);
    expect(statSync(join(folder, 'redis', 'redis.conf')).mode & 0o077).toBe(0);
    await withRedis(first.url, (redis) => redis.set('job', 'kept'));
    await first.stop();
    const second = await start(folder);
    expect(second.url).toBe(first.url);
    expect(await withRedis(second.url, (redis) => redis.get('job'))).toBe('kept');
    await expect(start(folder)).rejects.toThrow(/Another Tiercel/);
  });

  test('refuses a folder that another one is using, and leaves that one alone', async () => {
    const folder = makeFolder();
    const first = await start(folder);
    await expect(start(folder)).rejects.toMatchObject({ code: 'redis_not_found' });
    await expect(start(folder)).rejects.toThrow(`Another Tiercel (process ${String(process.pid)})`);
    expect(await withRedis(first.url, (redis) => redis.ping())).toBe('PONG');
  });

  test('lets only one of several that start at once have the folder', async () => {
    const folder = makeFolder();
    const outcomes = await Promise.allSettled([start(folder), start(folder), start(folder)]);
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
    ]);
  });

  test('tells why Redis did not start', async () => {
    const folder = makeFolder();
    mkdirSync(join(folder, 'redis', 'appendonlydir'), { recursive: true });
    writeFileSync(
      join(folder, 'redis', 'appendonlydir', 'appendonly.aof.manifest'),
      'not a manifest\n',
    );
    await expect(start(folder)).rejects.toThrow(/Redis did not start\. It said:\n(.|\n)*manifest/);
  });

  test('stop ends the server and its guard, and nothing is left that speaks on the socket', async () => {
    const server = await start(makeFolder());
    await server.stop();
    await server.exited;
    expect(isAlive(server.pid)).toBe(false);
  });
});

describe('when the process that started Redis is killed with -9', () => {
  /** A process that starts Redis, prints its pid and waits; killed by the test. */
  async function startInAnotherProcess(
    folder: string,
    lingerSeconds: number,
  ): Promise<{ redisPid: number; kill: () => void }> {
    const program = `
      const { startRedisServer } = require(${JSON.stringify(join(import.meta.dirname, 'start-redis-server.ts'))});
      startRedisServer({ dataDir: ${JSON.stringify(folder)}, lingerSeconds: ${String(lingerSeconds)}, say: () => {} })
        .then((server) => { console.log(server.pid); setInterval(() => {}, 1000); });`;
    const child = spawn(
      process.execPath,
      ['--conditions=source', '-r', 'esbuild-register', '-e', program],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    cleanups.push(() => child.kill('SIGKILL'));
    const redisPid = await new Promise<number>((resolve) => {
      child.stdout.once('data', (text: Buffer) => {
        resolve(Number(text.toString()));
      });
    });
    return { redisPid, kill: () => child.kill('SIGKILL') };
  }

  test('Redis ends too', async () => {
    const { redisPid, kill } = await startInAnotherProcess(makeFolder(), 0);
    expect(isAlive(redisPid)).toBe(true);
    kill();
    expect(await waitForEnd(redisPid, 5_000)).toBe(true);
  });

  test('the next start on the folder takes over from a Redis that still lingers', async () => {
    const folder = makeFolder();
    const { redisPid, kill } = await startInAnotherProcess(folder, 60);
    await withRedis(`unix://${folder}/redis/redis.sock`, (redis) => redis.set('job', 'kept'));
    kill();
    const server = await start(folder);
    expect(server.said).toEqual([
      'An earlier Tiercel was killed; waiting for its processes to end.',
    ]);
    expect(await waitForEnd(redisPid, 5_000)).toBe(true);
    expect(await withRedis(server.url, (redis) => redis.get('job'))).toBe('kept');
  });
});

describe('findRedisServer', () => {
  const nothing = { commands: ['no-such-redis-server'], install: () => Promise.resolve(false) };

  test('names the commands for apt, brew and Docker when there is no Redis', async () => {
    const search = findRedisServer({ say: () => undefined, ...nothing });
    await expect(search).rejects.toMatchObject({ code: 'redis_not_found' });
    await expect(search).rejects.toThrow(/apt-get install(.|\n)*brew install(.|\n)*docker run/);
  });

  test('looks again after an installation', async () => {
    const folder = makeFolder();
    const command = join(folder, 'valkey-server');
    const install = (): Promise<boolean> => {
      writeFileSync(command, '#!/bin/sh\necho v=8\n', { mode: 0o755 });
      return Promise.resolve(true);
    };
    const found = await findRedisServer({ say: () => undefined, commands: [command], install });
    expect(found).toBe(command);
  });

  test('starts nothing on a port that something else holds', async () => {
    const folder = join(makeFolder(), 'x'.repeat(120));
    const first = await start(folder);
    await first.stop();
    const port = Number(new URL(first.url).port);
    const other = createServer();
    await new Promise<void>((done) => other.listen(port, '127.0.0.1', done));
    cleanups.push(() => other.close());
    const second = await start(folder);
    expect(new URL(second.url).port).not.toBe(String(port));
  });
});
