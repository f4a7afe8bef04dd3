import { RedisScript } from '@tiercel/runtime';

/** Asks the workers to stop running jobs. Replies how many were running. */
export const interruptScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'call', 'set'],
  list: 'ids',
  parse: Number,
});
