import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ChildMessage, ReadyMessage } from '@tiercel/runtime';
import { onStopEverything } from './cleanup.ts';

const REPOSITORY = join(import.meta.dirname, '../../..');

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;
const TAIL_LINES = 30;
/** Settings of the person who runs the tests; a test names the ones it wants. */
const FOREIGN_SETTINGS = [
  ...['HOST', 'PORT', 'DATA_DIR', 'REDIS_URL', 'REDIS_PREFIX', 'TIERCEL_CONFIG', 'COMFYUI_URL'],
  ...['WORKER_PROCESSES', 'WORKER_CONCURRENCY', 'NODES_DIR', 'METRICS_PORT', 'LOG_LEVEL'],
];

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SpawnedProcess {
  readonly pid: number;
  /** What it said by IPC when it was ready. */
  readonly ready: ReadyMessage;
  /** Its URL, when it serves one; else the empty string. */
  readonly url: string;
  /** Every line of stdout and stderr so far. */
  readonly logs: readonly string[];
  /** Resolves when it has ended; never rejects. */
  readonly exited: Promise<ProcessEnd>;
  /** kill -9, and waits for the end. */
  kill9(): Promise<void>;
  /** SIGTERM; resolves with the exit code (null when a signal ended it). */
  stop(): Promise<number | null>;
  /** Sends any signal, e.g. SIGSTOP. */
  signal(name: NodeJS.Signals): void;
  /** Closes the IPC channel, as the death of a parent does. */
  disconnect(): void;
}

interface SpawnOptions {
  /** Path of a JavaScript file; relative to the repository. */
  readonly file: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts a Node program with an IPC channel and waits for its `{type: 'ready'}`. The program sees this
 * process's environment without Tiercel's settings, plus `env`. `stopEverything` kills it.
 * @throws Error with the end of its output when it ends, or says nothing, before it is ready
 */
export async function spawnProcess(options: SpawnOptions): Promise<SpawnedProcess> {
  const file = join(options.file.startsWith('/') ? '' : REPOSITORY, options.file);
  if (!existsSync(file)) throw new Error(`${file} is missing: run npm run build (npm test does)`);
  // env(1) changes the environment without reading it (only packages/runtime/src/config does that),
  // and becomes node by exec: the pid and the IPC channel are node's.
  const child = spawn(
    'env',
    [
      ...FOREIGN_SETTINGS.flatMap((name) => ['-u', name]),
      ...Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`),
      process.execPath,
      '--enable-source-maps',
      file,
    ],
    { cwd: REPOSITORY, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  );
  const logs: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', (line) => logs.push(line));
  }
  let isLeft = false;
  const exited = new Promise<ProcessEnd>((resolve) => {
    child.once('error', () => {
      resolve({ code: null, signal: null });
    });
    // `close`, not `exit`: the output is complete then.
    child.once('close', (code, signal) => {
      resolve({ code, signal });
    });
    child.once('exit', (code, signal) => {
      // Node tells no `close` of a child whose channel was closed from here.
      if (isLeft) resolve({ code, signal });
    });
  });
  const kill9 = async (): Promise<void> => {
    child.kill('SIGKILL');
    child.kill('SIGCONT');
    await exited;
  };
  onStopEverything(kill9);

  const tail = (): string => logs.slice(-TAIL_LINES).join('\n');
  const ready = await new Promise<ReadyMessage>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${options.file} was not ready in ${READY_TIMEOUT_MS} ms:\n${tail()}`));
    }, READY_TIMEOUT_MS);
    child.on('message', (message: ChildMessage) => {
      if (message.type !== 'ready') return;
      clearTimeout(timer);
      resolve(message);
    });
    void exited.then(({ code, signal }) => {
      clearTimeout(timer);
      const how = signal ?? `code ${code ?? 'unknown'}`;
      reject(new Error(`${options.file} ended with ${how} before it was ready:\n${tail()}`));
    });
  });
  return {
    pid: child.pid ?? -1,
    ready,
    url: ready.url ?? '',
    logs,
    exited,
    kill9,
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      const { code } = await exited;
      clearTimeout(timer);
      return code;
    },
    signal: (name) => {
      child.kill(name);
    },
    disconnect: () => {
      isLeft = true;
      child.disconnect();
    },
  };
}

/** Whether a process runs. A zombie does not: its parent just has not looked yet. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
