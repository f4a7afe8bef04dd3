import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const started: (() => unknown)[] = [];

/** Registers how something that a test started is ended by `stopEverything`. */
export function onStopEverything(stop: () => unknown): void {
  started.push(stop);
}

/** Ends whatever this test file started, last first; for afterAll. One failure does not spare the rest. */
export async function stopEverything(): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of started.splice(0).reverse()) {
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
