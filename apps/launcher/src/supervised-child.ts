import { type ChildProcess, spawn } from 'node:child_process';
import {
  childEnvironment,
  type ChildMessage,
  type Config,
  type ReadyMessage,
  startTimer,
} from '@tiercel/runtime';
import type { Terminal } from './terminal.ts';

interface ChildSpec {
  /** As it is shown to people: `api`, `worker 1`. */
  readonly name: string;
  /** Absolute path of the program. */
  readonly file: string;
  /** Added to our own environment, which the child inherits. */
  readonly env: Readonly<Record<string, string>>;
}

interface ChildHooks {
  readonly onReady: (message: ReadyMessage) => void;
  /** It is an API, and takes prompts. */
  readonly onAccepting: () => void;
  /** It ended by itself, with this code, before it was ever ready: starting it again would not help. */
  readonly onStartFailed: (code: number) => void;
}

export interface SupervisedChild {
  /** SIGTERM, after `limitMs` SIGKILL; resolves when it has ended and will not be started again. */
  stop(limitMs: number): Promise<void>;
  /** SIGKILL, now. */
  kill(): void;
}

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;
/** Who has run this long and then ends is started again without a long wait. */
const STEADY_MS = 60_000;
const OUTPUT_GRACE_MS = 1_000;

/**
 * Runs a Node program and starts it again when it ends, after 1 s, 2 s, 4 s ... 30 s.
 *
 * The child is a session of its own (detached): a terminal's Ctrl-C goes to the whole group, and only
 * the launcher may decide who stops when. It ends with us all the same: it watches its IPC channel
 * (stopWithParent in packages/runtime).
 */
export function superviseChild(
  spec: ChildSpec,
  terminal: Terminal,
  hooks: ChildHooks,
): SupervisedChild {
  let child: ChildProcess | undefined;
  let restart: NodeJS.Timeout | undefined;
  let stopping = false;
  let everReady = false;
  let delayMs = FIRST_DELAY_MS;
  let ended: Promise<void> = Promise.resolve();

  const start = (): void => {
    const startedAt = Date.now();
    const started = spawnNode(spec);
    child = started;
    const output = Promise.all([
      started.stdout === null ? undefined : terminal.showLogs(started.stdout, spec.name),
      started.stderr === null ? undefined : terminal.showErrors(started.stderr),
    ]);
    started.on('message', (message: ChildMessage) => {
      if (message.type === 'accepting') {
        hooks.onAccepting();
        return;
      }
      everReady = true;
      hooks.onReady(message);
    });
    ended = new Promise((resolve) => {
      const onEnd = async (code: number | null, how: string): Promise<void> => {
        // What it said last comes before what we say; its own children may hold the pipe for ever.
        await Promise.race([output, new Promise((done) => setTimeout(done, OUTPUT_GRACE_MS))]);
        child = undefined;
        resolve();
        if (stopping) return;
        if (!everReady && code !== null) {
          hooks.onStartFailed(code);
          return;
        }
        if (Date.now() - startedAt >= STEADY_MS) delayMs = FIRST_DELAY_MS;
        terminal.complain(`${spec.name} ended (${how}); starting it again in ${delayMs / 1000} s.`);
        restart = startTimer(start, delayMs);
        delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
      };
      started.once('error', (error) => {
        void onEnd(1, error.message);
      });
      started.once('exit', (code, signal) => {
        void onEnd(code, signal ?? `exit code ${code ?? 'unknown'}`);
      });
    });
  };

  start();
  return {
    stop: async (limitMs) => {
      stopping = true;
      clearTimeout(restart);
      child?.kill('SIGTERM');
      const timer = startTimer(() => child?.kill('SIGKILL'), limitMs);
      await ended;
      clearTimeout(timer);
    },
    kill: () => {
      child?.kill('SIGKILL');
    },
  };
}

function spawnNode(spec: ChildSpec): ChildProcess {
  return spawn(process.execPath, ['--enable-source-maps', spec.file], {
    detached: true,
    env: childEnvironment(spec.env),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

/** How long an API gives its callers to take their answers. */
const API_CLOSE_MS = 5_000;
/** Over a process's own grace, for what it does after it when Redis hangs. */
const EXTRA_MS = 8_000;

/** Within this time every API and worker has ended after SIGTERM; one that has not is killed. */
export function stopLimitMs({ worker, api }: Pick<Config, 'worker' | 'api'>): number {
  return Math.max(worker.shutdownGraceMs, api.drainDelayMs + API_CLOSE_MS) + EXTRA_MS;
}
