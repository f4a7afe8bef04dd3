import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  isAlive,
  letTimePass,
  makeTempFolder,
  onStopEverything,
  startTestRedis,
  stopEverything,
  until,
} from '@tiercel/testkit';

/** npm start with its real processes: whatever becomes of it and of Redis, nothing is left behind. */

const MAIN = join(import.meta.dirname, '../../apps/launcher/dist/main.js');
const GRACE_MS = 1_000;
/** What processes may take over their grace (docs/operations.md), and a margin for a busy machine. */
const STOP_MS = GRACE_MS + 8_000 + 6_000;

afterEach(stopEverything);

interface Launcher {
  readonly pid: number;
  readonly exitCode: Promise<number | null>;
  readonly lines: readonly string[];
  /** Of all processes that it told of: itself, children, its own Redis. */
  readonly pids: () => number[];
  readonly redisPid: () => number;
}

function launch(env: Readonly<Record<string, string>>): Launcher {
  const folder = makeTempFolder();
  writeFileSync(join(folder, 'config.yaml'), `worker: { shutdownGraceMs: ${GRACE_MS} }\n`);
  const settings = {
    ...{ DATA_DIR: folder, TIERCEL_CONFIG: join(folder, 'config.yaml') },
    ...{ HOST: '127.0.0.1', PORT: '0', ...env },
  };
  const child = spawn(
    'env',
    [
      ...['-u', 'REDIS_URL', '-u', 'COMFYUI_URL', '-u', 'NODES_DIR', '-u', 'METRICS_PORT'],
      ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
      ...[process.execPath, MAIN],
    ],
    { detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  const redisPid = (): number =>
    Number(/started here \(process (\d+)\)/.exec(lines.join('\n'))?.[1]);
  const pids = (): number[] => {
    const received = lines.flatMap((line) => /^\{.*"pid":(\d+)/.exec(line)?.[1] ?? []).map(Number);
    return [...new Set([child.pid ?? -1, ...received, redisPid()])].filter((pid) => pid > 0);
  };
  onStopEverything(() => {
    for (const pid of pids().filter(isAlive)) process.kill(pid, 'SIGKILL');
  });
  const exitCode = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { pid: child.pid ?? -1, exitCode, lines, pids, redisPid };
}

async function launchReady(env: Readonly<Record<string, string>> = {}): Promise<Launcher> {
  const launcher = launch(env);
  await until(() => launcher.lines.some((line) => line.includes('Ctrl-C stops it')), 25_000);
  expect(launcher.pids().length).toBeGreaterThanOrEqual(3);
  return launcher;
}

async function waitUntilGone(launcher: Launcher): Promise<void> {
  const pids = launcher.pids();
  await until(() => !pids.some(isAlive), STOP_MS);
}

describe.each([
  ['is killed', 'SIGKILL'],
  ['hangs', 'SIGSTOP'],
] as const)('with a Redis of REDIS_URL that %s', (_, trouble) => {
  test('a launcher that is killed with -9 leaves nothing behind', async () => {
    const redis = await startTestRedis();
    const launcher = await launchReady({ REDIS_URL: redis.url });
    process.kill(redis.pid, trouble);
    process.kill(launcher.pid, 'SIGKILL');
    await waitUntilGone(launcher);
  });

  test('SIGTERM stops everything in its time', async () => {
    const redis = await startTestRedis();
    const launcher = await launchReady({ REDIS_URL: redis.url });
    process.kill(redis.pid, trouble);
    process.kill(launcher.pid, 'SIGTERM');
    await waitUntilGone(launcher);
    expect(await launcher.exitCode).toBe(0);
  });
});

describe('with a Redis of its own that hangs', () => {
  test('a launcher that is killed with -9 leaves nothing behind, Redis neither', async () => {
    const launcher = await launchReady();
    process.kill(launcher.redisPid(), 'SIGSTOP');
    process.kill(launcher.pid, 'SIGKILL');
    await waitUntilGone(launcher);
  });

  test('SIGTERM stops everything, and wakes Redis to write what it has', async () => {
    const launcher = await launchReady();
    process.kill(launcher.redisPid(), 'SIGSTOP');
    process.kill(launcher.pid, 'SIGTERM');
    await waitUntilGone(launcher);
    expect(await launcher.exitCode).toBe(0);
  });

  test('a second SIGINT ends all at once', async () => {
    const launcher = await launchReady();
    process.kill(launcher.redisPid(), 'SIGSTOP');
    process.kill(launcher.pid, 'SIGINT');
    await until(() => launcher.lines.some((line) => line.startsWith('SIGINT: stopping')));
    await letTimePass(800); // closer together they are one keystroke
    process.kill(launcher.pid, 'SIGINT');
    await until(() => !launcher.pids().some(isAlive), 5_000);
    expect(await launcher.exitCode).toBe(130);
  });
});

test('SIGTERM ends a launcher whose Redis is still starting, and that Redis', async () => {
  // A Redis that never comes to serve, as one that loads for minutes.
  const bin = makeTempFolder();
  const command = join(bin, 'redis-server');
  writeFileSync(
    command,
    `#!/bin/sh\n[ "$1" = --version ] && { echo v=7; exit 0; }\necho $$ >${bin}/pid\nexec sleep 60\n`,
  );
  chmodSync(command, 0o755);
  const launcher = launch({ PATH: `${bin}:/usr/bin:/bin` });
  const pid = await until(() => Number(readFileSync(join(bin, 'pid'), 'utf8')), 15_000);
  const startedAt = Date.now();
  process.kill(launcher.pid, 'SIGTERM');
  expect(await launcher.exitCode).toBe(0);
  expect(Date.now() - startedAt).toBeLessThan(5_000);
  await until(() => !isAlive(pid), 2_000);
});
