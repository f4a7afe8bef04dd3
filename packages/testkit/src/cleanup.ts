import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Stops = (() => unknown)[];

const startedByFile: Stops = [];
const startedByTest = new AsyncLocalStorage<Stops>();

/** Registers how something that a test started is ended by `stopEverything`. */
export function onStopEverything(stop: () => unknown): void {
  (startedByTest.getStore() ?? startedByFile).push(stop);
}

/** Ends whatever this test file started, last first; for afterAll. One failure does not spare the rest. */
export async function stopEverything(): Promise<void> {
  await stopAll(startedByFile);
}

/**
 * The body of a `test.concurrent`: it ends what it started itself, and an afterEach of its neighbours
 * does not. For tests that mostly wait, each with a system of its own.
 */
export function stopOwn<Args extends readonly unknown[]>(
  body: (...args: Args) => Promise<void>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    const own: Stops = [];
    try {
      await startedByTest.run(own, () => body(...args));
    } finally {
      await stopAll(own);
    }
  };
}

async function stopAll(stops: Stops): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of stops.splice(0).reverse()) {
    try {
      await stop();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'something could not be stopped');
}

/** A folder that `stopEverything` removes. Its path is short: unix sockets live in it. */
export function makeTempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tiercel-'));
  onStopEverything(() => {
    // Processes that were just killed may still be writing.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });
  return folder;
}
