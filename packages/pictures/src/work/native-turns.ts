/**
 * Decoding and encoding by libvips takes a thread of libuv's pool, which has four for everything that reads and
 * writes files. Large pictures get two of them at most, the others wait in order.
 */
const MAX_LARGE_AT_ONCE = 2;
/** Below this many pixels an operation is over in milliseconds. */
const LARGE_PIXELS = 1_000_000;

let free = MAX_LARGE_AT_ONCE;
const waiting: (() => void)[] = [];

/** Runs a native operation on a picture, when it is its turn. */
export async function runNative<T>(pixels: number, operation: () => Promise<T>): Promise<T> {
  if (pixels < LARGE_PIXELS) return operation();
  if (free > 0) free -= 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await operation();
  } finally {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }
}
