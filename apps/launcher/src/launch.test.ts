import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  isAlive,
  letTimePass,
  makeTempFolder,
  onStopEverything,
  stopEverything,
  stopOwn,
  until,
} from '@tiercel/testkit';

const here = import.meta.dirname;
/** What main.ts does, with stand-ins for the two programs. */
const PROGRAM = `
  const { loadConfig, runMain } = require('@tiercel/runtime');
  const { launch } = require('${here}/launch.ts');
  const { createTerminal } = require('${here}/terminal.ts');
  const terminal = createTerminal(process.stdout, process.stderr);
  void runMain(
    async () => {
      process.exitCode = await launch({
        config: loadConfig(),
        terminal,
        apiFile: '${here}/fixtures/api.mjs',
        workerFile: '${here}/fixtures/worker.mjs',
      });
      process.exit();
    },
    (line) => terminal.complain(line),
  );`;

afterAll(stopEverything);

interface Launcher {
  readonly pid: number;
  readonly folder: string;
  readonly out: () => string;
  readonly errors: () => string;
  readonly exitCode: Promise<number | null>;
  /** What the stand-ins noted, in order. */
  readonly notes: () => string[];
  readonly pidOf: (role: 'api' | 'worker') => number;
  readonly redisPid: () => number;
}

function startLauncher(
  mode: { failing?: string; stubborn?: string; accepting?: boolean; subfolder?: string } = {},
  env: Record<string, string> = {},
): Launcher {
  const folder = join(makeTempFolder(), mode.subfolder ?? '');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'mode.json'), JSON.stringify(mode));
  writeFileSync(join(folder, 'config.yaml'), 'worker: { shutdownGraceMs: 1000 }\n');
  const child = spawn(
    process.execPath,
    ['--conditions=source', '-r', 'esbuild-register', '-e', PROGRAM],
    {
      // A group of its own, as a shell gives to what a person starts.
      ...{ detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
      env: {
        PATH: process.env.PATH ?? '',
        DATA_DIR: folder,
        TIERCEL_CONFIG: join(folder, 'config.yaml'),
        ...env,
      },
    },
  );
  let out = '';
  let errors = '';
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  const exitCode = new Promise<number | null>((resolve) => child.once('close', resolve));
  onStopEverything(() => child.kill('SIGKILL'));
  const notes = (): string[] => {
    const file = join(folder, 'notes');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };
  return {
    pid: child.pid ?? -1,
    folder,
    out: () => out,
    errors: () => errors,
    exitCode,
    notes,
    pidOf: (role) =>
      Number(
        notes()
          .findLast((line) => line.startsWith(`${role} pid`))
          ?.split(' ')[2],
      ),
    redisPid: () => Number(/process (\d+)/.exec(out)?.[1]),
  };
}

async function startReady(...args: Parameters<typeof startLauncher>): Promise<Launcher> {
  const launcher = startLauncher(...args);
  await until(() => launcher.out().includes('Ctrl-C stops it'), 20_000);
  return launcher;
}

const pidsOf = (launcher: Launcher): number[] => [
  ...[launcher.pidOf('api'), launcher.pidOf('worker'), launcher.redisPid()],
];

describe('launch', () => {
  test('tells where it is and stops in order on SIGTERM, Redis last', async () => {
    const launcher = await startReady();
    expect(launcher.out()).toContain('Tiercel is ready: http://127.0.0.1:8188');
    expect(launcher.out()).toContain('tiers    gpu, then embedded');
    expect(launcher.out()).toMatch(/redis {4}started here \(process \d+\)/);
    // Not a terminal: the children's logs are left as they are.
    expect(launcher.out()).toContain('{"level":30,"time":0,"name":"api","msg":"started"}');
    expect(pidsOf(launcher).every(isAlive)).toBe(true);
    process.kill(launcher.pid, 'SIGTERM');
    expect(await launcher.exitCode).toBe(0);
    expect(launcher.notes()).toEqual(
      expect.arrayContaining([
        ...['worker SIGTERM', 'worker end +PONG', 'api SIGTERM', 'api end +PONG'],
      ]),
    );
    expect(pidsOf(launcher).filter(isAlive)).toEqual([]);
    expect(launcher.errors()).toBe('');
  });

  test('says that it is ready when prompts are accepted, and until then why they are not', async () => {
    const launcher = await startReady();
    expect(launcher.notes()).toContain('api accepting');
    const waiting = startLauncher({ accepting: false });
    await until(() => waiting.out().includes('takes no prompts yet'), 20_000);
    expect(waiting.out()).not.toContain('Tiercel is ready');
    for (const one of [launcher, waiting]) process.kill(one.pid, 'SIGTERM');
    expect(await Promise.all([launcher.exitCode, waiting.exitCode])).toEqual([0, 0]);
  });

  test('a Ctrl-C that arrives twice (from the terminal and through npm) stops it in order', async () => {
    const launcher = await startReady();
    process.kill(-launcher.pid, 'SIGINT');
    process.kill(launcher.pid, 'SIGINT');
    expect(await launcher.exitCode).toBe(0);
    expect(launcher.notes()).toContain('worker end +PONG');
    expect(launcher.notes()).not.toContain('worker SIGINT');
  });

  test('a second Ctrl-C ends a worker that does not listen', async () => {
    const launcher = await startReady({ stubborn: 'worker' });
    process.kill(launcher.pid, 'SIGINT');
    await until(() => launcher.notes().includes('api end +PONG'));
    await letTimePass(500);
    process.kill(launcher.pid, 'SIGINT');
    expect(await launcher.exitCode).toBe(130);
    expect(pidsOf(launcher).filter(isAlive)).toEqual([]);
  });

  test.concurrent(
    'a worker that does not listen is killed when its time is over',
    stopOwn(async () => {
      const launcher = await startReady({ stubborn: 'worker' });
      process.kill(launcher.pid, 'SIGTERM');
      expect(await launcher.exitCode).toBe(0);
      expect(pidsOf(launcher).filter(isAlive)).toEqual([]);
    }),
  );

  test.concurrent(
    'leaves nothing behind when it is killed with -9',
    stopOwn(async () => {
      const launcher = await startReady();
      const pids = pidsOf(launcher);
      process.kill(launcher.pid, 'SIGKILL');
      await until(() => pids.every((pid) => !isAlive(pid)), 15_000);
    }),
  );

  test('starts a child and Redis again when they are killed', async () => {
    const launcher = await startReady();
    const api = launcher.pidOf('api');
    const redis = launcher.redisPid();
    process.kill(redis, 'SIGKILL');
    process.kill(api, 'SIGKILL');
    await until(() => launcher.out().includes('Redis is back.'));
    await until(() => launcher.out().includes('api is back.'));
    expect(launcher.errors()).toContain('api ended (SIGKILL); starting it again in 1 s.');
    expect(launcher.pidOf('api')).not.toBe(api);
    process.kill(launcher.pid, 'SIGTERM');
    expect(await launcher.exitCode).toBe(0);
    expect(launcher.notes().slice(-4)).toContain('api end +PONG');
  });

  test.each(['api', 'worker'])(
    'stops with one clear line when the %s cannot start',
    async (failing) => {
      const launcher = startLauncher({ failing });
      expect(await launcher.exitCode).toBe(1);
      expect(launcher.errors()).toBe(
        `port 8188 is taken by another program\n${failing} could not start; stopping.\n`,
      );
      expect([launcher.pidOf('api'), launcher.pidOf('worker')].filter(isAlive)).toEqual([]);
    },
  );

  test.concurrent(
    'a Redis that cannot be reached is one line and exit code 1',
    stopOwn(async () => {
      const launcher = startLauncher({}, { REDIS_URL: 'redis://:secret@127.0.0.1:1' });
      expect(await launcher.exitCode).toBe(1);
      expect(launcher.errors()).toBe('Redis at 127.0.0.1:1 does not answer.\n');
    }),
  );

  // Arguments are seen by every user of the machine; so the kernel is asked for them without a pause.
  (existsSync('/proc/self/task') ? test : test.skip)(
    'the password of a Redis on a port is in no argument of any process',
    async () => {
      const launcher = startLauncher({ subfolder: 'x'.repeat(120) });
      const watcher = spawn(process.execPath, [
        '-e',
        `const { readFileSync } = require('node:fs');
        const read = (path) => { try { return readFileSync(path, 'utf8'); } catch { return ''; } };
        const seen = new Set();
        for (const end = Date.now() + 60_000; Date.now() < end; ) {
          for (const pid of read('/proc/${launcher.pid}/task/${launcher.pid}/children').split(' ')) {
            const line = read('/proc/' + pid + '/cmdline').replaceAll('\\0', ' ');
            if (line !== '' && !seen.has(line)) { seen.add(line); process.stdout.write(line + '\\n'); }
          }
        }`,
      ]);
      onStopEverything(() => watcher.kill('SIGKILL'));
      let seen = '';
      watcher.stdout.on('data', (text: Buffer) => (seen += text.toString()));
      await until(() => launcher.out().includes('Ctrl-C stops it'), 20_000);
      await until(() =>
        /fixtures\/api\.mjs[^]*redis-server|redis-server[^]*fixtures\/api\.mjs/.test(seen),
      );
      watcher.kill('SIGKILL');
      const url = readFileSync(join(launcher.folder, 'redis', 'url'), 'utf8');
      expect(url).toMatch(/^redis:\/\/:[0-9a-f]{48}@/);
      expect(seen).not.toContain(new URL(url).password);
      process.kill(launcher.pid, 'SIGTERM');
      expect(await launcher.exitCode).toBe(0);
      expect(launcher.out() + launcher.errors()).not.toContain(new URL(url).password);
    },
  );

  test('wrong settings are all listed, with exit code 78', async () => {
    const launcher = startLauncher({}, { PORT: 'x', WORKER_CONCURRENCY: '0' });
    expect(await launcher.exitCode).toBe(78);
    expect(launcher.errors()).toMatch(/PORT: (.|\n)*WORKER_CONCURRENCY: /);
  });
});
