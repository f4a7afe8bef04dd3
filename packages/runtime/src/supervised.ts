import type { Lifecycle } from './lifecycle.ts';

/** What a child tells the process that started it, over Node's IPC channel. */
export type ChildMessage =
  | {
      readonly type: 'ready';
      readonly url?: string;
      readonly tiers?: readonly string[];
    }
  | { readonly type: 'accepting' };
export type ReadyMessage = Extract<ChildMessage, { type: 'ready' }>;

/** Tells the parent, if there is one, that this process serves. */
export function reportReady(message: ReadyMessage): void {
  process.send?.(message);
}

/** Tells the parent that prompts are accepted: an API is ready before it knows what its workers can run. */
export function reportAccepting(): void {
  process.send?.({ type: 'accepting' } satisfies ChildMessage);
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
