/** Runs what it is given one after the other, in the order of asking. */
export type Serial = <T>(signal: AbortSignal, run: () => Promise<T>) => Promise<T>;

/** Who is aborted while waiting throws the reason and never runs. */
export function createSerial(): Serial {
  let last: Promise<void> = Promise.resolve();
  return async (signal, run) => {
    const before = last;
    const { promise: turn, resolve: leave } = createTurn();
    last = turn;
    try {
      await waitFor(before, signal);
      return await run();
    } finally {
      // Who left early still keeps the next one behind those before.
      void before.then(leave);
    }
  };
}

function createTurn(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function waitFor(before: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let abort = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    abort = resolve;
  });
  signal.addEventListener('abort', abort);
  await Promise.race([before, aborted]);
  signal.removeEventListener('abort', abort);
  signal.throwIfAborted();
}
