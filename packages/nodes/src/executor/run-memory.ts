import type { MemoryBudget } from '@tiercel/pictures';

/** What one run holds of the memory that its process has for pictures. */
export interface RunMemory {
  /** Waits for room for so many bytes more. @throws MemoryLimitError; the reason of the signal */
  reserve(bytes: number): Promise<void>;
  /** Brings what is held to what the results really take, in bytes. @throws as reserve, when that is more */
  settle(bytes: number): Promise<void>;
  /** The work of the present node: it may go on, and hold what it has, when the run is over. */
  follow(work: Promise<unknown>): void;
  /** At the end of the run: gives back everything as soon as no node works any more. */
  close(): void;
}

export function openRunMemory(budget: MemoryBudget, signal: AbortSignal): RunMemory {
  const account = budget.open();
  let work: Promise<unknown> = Promise.resolve();
  const close = () => {
    account.close();
  };
  return {
    reserve: (bytes) => account.reserve(bytes, signal),
    settle: (bytes) => account.settle(bytes, signal),
    follow: (started) => {
      work = started;
    },
    close: () => {
      work.then(close, close);
    },
  };
}
