import { RedisScript } from '@tiercel/runtime';

/** Where a walk through the pending jobs is: after this number, and after this member among equal numbers. */
export interface PendingCursor {
  readonly number: string;
  readonly member: string;
}

export const FIRST_PENDING: PendingCursor = { number: '-inf', member: '' };

/** Removes pending jobs that arrived up to a moment, a batch at a time. Replies where the walk is; undefined: done. */
export const clearPendingScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'set', 'last_arrival', 'batch', 'number', 'member'],
  parse: (reply): PendingCursor | undefined => {
    const [number, member] = reply as [string?, string?];
    return number === undefined || member === undefined ? undefined : { number, member };
  },
});
