import type { Config, ReadyMessage } from '@tiercel/runtime';
import { describeStart, describeWaiting } from './banner.ts';
import { openRedis, type RedisSource } from './redis-source.ts';
import { stopLimitMs, superviseChild, type SupervisedChild } from './supervised-child.ts';
import type { Terminal } from './terminal.ts';

export interface LaunchOptions {
  readonly config: Config;
  readonly terminal: Terminal;
  /** Absolute paths of the two programs. */
  readonly apiFile: string;
  readonly workerFile: string;
}

/**
 * npm passes a terminal's Ctrl-C on although the terminal sent it to us as well: two signals that
 * close together are one keystroke.
 */
const SAME_KEYSTROKE_MS = 700;
const EX_INTERRUPTED = 130;
/** When workers are up this long and prompts are still not accepted, people are told why. */
const ACCEPTING_MS = 5_000;

/**
 * Runs Redis, the API and the workers until a signal; then stops the processes, and Redis last.
 * @returns the exit code: 0 after a signal, 130 when a second one was needed, a child's own when that
 * could not start
 * @throws AppError redis_not_found, redis_unreachable
 */
export async function launch(options: LaunchOptions): Promise<number> {
  const { config, terminal } = options;
  const children: SupervisedChild[] = [];
  let redisIsUp = false;
  const run = createRun();
  const stopping = new AbortController();

  onSignals(
    (signal) => {
      terminal.say(`${signal}: stopping. Running jobs may finish; once more stops at once.`);
      run.end(0);
      stopping.abort();
    },
    () => {
      // With nothing to stop in order, leaving is enough: a Redis that is just starting ends with us.
      if (!redisIsUp) process.exit(EX_INTERRUPTED);
      run.end(EX_INTERRUPTED);
      for (const child of children) child.kill();
    },
  );

  let redis: RedisSource;
  try {
    redis = await openRedis(config, {
      say: terminal.say,
      onLost: (why) => {
        terminal.complain(why);
        run.end(1);
      },
      signal: stopping.signal,
    });
  } catch (error) {
    // Told to stop while Redis was being looked for, started, or loading: that is no failure.
    if (run.exitCode !== undefined) return run.exitCode;
    throw error;
  }
  redisIsUp = true;
  try {
    if (run.exitCode === undefined) children.push(...startChildren(options, redis, run));
    await run.ended;
    const limitMs = stopLimitMs(config);
    await Promise.all(children.map((child) => child.stop(limitMs)));
  } finally {
    await redis.stop();
  }
  return run.exitCode ?? 0;
}

interface Run {
  readonly exitCode: number | undefined;
  readonly ended: Promise<void>;
  /** A later, worse code replaces an earlier one. */
  readonly end: (exitCode: number) => void;
}

function createRun(): Run {
  let exitCode: number | undefined;
  let resolveEnded: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    resolveEnded = resolve;
  });
  return {
    get exitCode() {
      return exitCode;
    },
    ended,
    end: (code) => {
      exitCode = Math.max(exitCode ?? 0, code);
      resolveEnded();
    },
  };
}

function onSignals(first: (signal: string) => void, again: () => void): void {
  let firstAt: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (firstAt === undefined) {
        firstAt = Date.now();
        first(signal);
      } else if (signal !== 'SIGHUP' && Date.now() - firstAt > SAME_KEYSTROKE_MS) {
        // A hang-up says that the terminal or npm is gone, not that somebody is impatient.
        again();
      }
    });
  }
}

/** Workers on one machine cannot share a port: the second one gets METRICS_PORT + 1, and so on. */
function metricsPortOf(config: Config, index: number): Record<string, string> {
  const { metricsPort } = config;
  if (metricsPort === undefined || metricsPort === 0) return {};
  return { METRICS_PORT: String(metricsPort + index) };
}

function startChildren(options: LaunchOptions, redis: RedisSource, run: Run): SupervisedChild[] {
  const { config, terminal, apiFile, workerFile } = options;
  // With REDIS_URL set the children inherit it.
  const env: Record<string, string> = config.redisUrl === undefined ? { REDIS_URL: redis.url } : {};
  const workers = Array.from({ length: config.workerProcesses }, (_, index) => ({
    name: config.workerProcesses === 1 ? 'worker' : `worker ${index + 1}`,
    file: workerFile,
    env: { ...env, ...metricsPortOf(config, index) },
  }));
  const specs = [{ name: 'api', file: apiFile, env }, ...workers];
  const ready = new Map<string, ReadyMessage>();
  let isAccepting = false;
  let waiting: NodeJS.Timeout | undefined;
  let isSaid = false;
  // Ready means that a prompt is accepted: whoever waits for these words posts at once.
  const sayWhenReady = () => {
    if (isSaid || ready.size < specs.length) return;
    clearTimeout(waiting);
    if (isAccepting) {
      isSaid = true;
      terminal.say(describeStart(config, redis, [...ready.values()]));
    } else {
      waiting = setTimeout(() => {
        terminal.say(describeWaiting([...ready.values()]));
      }, ACCEPTING_MS).unref();
    }
  };
  return specs.map((spec) =>
    superviseChild(spec, terminal, {
      onReady: (message) => {
        if (ready.has(spec.name)) {
          terminal.say(`${spec.name} is back.`);
          return;
        }
        ready.set(spec.name, message);
        sayWhenReady();
      },
      onAccepting: () => {
        isAccepting = true;
        sayWhenReady();
      },
      onStartFailed: (code) => {
        terminal.complain(`${spec.name} could not start; stopping.`);
        run.end(code === 0 ? 1 : code);
      },
    }),
  );
}
