import { setImmediate } from 'node:timers/promises';

const MAX_BLOCK_MS = 12;

/**
 * Keeps long computations from blocking the process: call it in a loop as
 * `const pause = pace(); if (pause) await pause;`. It is a promise only when the loop ran for more than 12 ms
 * since the last pause, so that heartbeats and interrupts get their turn.
 */
export function createPacer(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < MAX_BLOCK_MS) return undefined;
    return setImmediate().then(() => {
      last = performance.now();
    });
  };
}
