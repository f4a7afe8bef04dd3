/** Computations take this much of a turn of the event loop, together, so that a turn stays below 20 ms. */
const SLICE_MS = 12;
/** Samples between two looks at the clock: less than a millisecond, also before the code is compiled. */
const STEP = 32_768;

/** Those who wait for a turn of the event loop, in order. */
const waiting: (() => void)[] = [];
/** When the first computation of this turn began; undefined when there was none yet. */
let sliceStart: number | undefined;

/**
 * Keeps long computations from blocking the process: call the pacer in a loop as
 * `const pause = pace(); if (pause) await pause;`. It is a promise only when all that was computed in this turn of
 * the event loop took more than 12 ms together: one long loop, or many short ones behind each other. Of several
 * computations in a process one goes on in each turn, so that heartbeats and interrupts are heard in between however
 * many there are.
 * @param signal when it aborts, the pacer throws its reason, or the pause does
 */
export function createPacer(signal?: AbortSignal): () => Promise<void> | undefined {
  noteSlice();
  return () => {
    signal?.throwIfAborted();
    if (performance.now() - noteSlice() < SLICE_MS) return undefined;
    return yieldToEventLoop().then(() => {
      signal?.throwIfAborted();
    });
  };
}

/** When computing in this turn began. */
function noteSlice(): number {
  return sliceStart ?? beginSlice();
}

function beginSlice(): number {
  sliceStart = performance.now();
  setImmediate(() => {
    sliceStart = undefined;
  });
  return sliceStart;
}

/**
 * Runs a loop over `count` samples in slices.
 * @param run called for one range after the other
 * @throws the reason of the signal
 */
export async function inSlices(
  count: number,
  run: (from: number, to: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const pace = createPacer(signal);
  for (let from = 0; from < count; from += STEP) {
    run(from, Math.min(count, from + STEP));
    const pause = pace();
    if (pause) await pause;
  }
}

/**
 * Runs a loop over the rows of a picture in slices. A row is never cut: sides are limited (MAX_SIDE).
 * @throws the reason of the signal
 */
export async function inRows(
  size: { readonly width: number; readonly height: number },
  run: (y: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const rows = Math.max(1, Math.floor(STEP / Math.max(1, size.width)));
  const pace = createPacer(signal);
  for (let y = 0; y < size.height; y += 1) {
    run(y);
    if (y % rows !== 0) continue;
    const pause = pace();
    if (pause) await pause;
  }
}

function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(resumeNext);
  });
}

function resumeNext(): void {
  const resume = waiting.shift();
  // In the next turn: what came in meanwhile is handled first.
  if (waiting.length > 0) setImmediate(resumeNext);
  beginSlice();
  resume?.();
}
