import { RedisScript } from '@tiercel/runtime';

/** Cancels jobs wherever they are: pending ones go, running ones are interrupted. Replies how many. */
export const cancelScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'call'],
  list: 'ids',
  parse: Number,
});
