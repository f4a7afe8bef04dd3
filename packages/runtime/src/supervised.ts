import type { Lifecycle } from './lifecycle.ts';

/** What a child tells the process that started it, over Node's IPC channel. */
export type ChildMessage = {
  readonly type: 'ready';
  readonly url?: string;
  readonly tiers?: readonly string[];
};

/** Tells the parent, if there is one, that this process serves. */
export function reportReady(message: ChildMessage): void {
  process.send?.(message);
}

/**
 * A child whose parent is gone (killed with -9, so that it could not say goodbye) stops by itself:
 * nothing of a launcher outlives it.
 */
export function stopWithParent(lifecycle: Lifecycle): void {
  if (process.send === undefined) return;
  process.on('disconnect', () => {
    void lifecycle.close().then(() => process.exit(0));
  });
}
