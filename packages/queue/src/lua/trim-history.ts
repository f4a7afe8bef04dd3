import { RedisScript } from '@tiercel/runtime';

/** Removes the oldest ended jobs, a batch at a time. Replies how many; done when 0. */
export const trimHistoryScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'set', 'ended_by', 'older_than_ms', 'keep', 'batch'],
  parse: Number,
});
