import { RedisScript } from '@tiercel/runtime';

/** Removes pending jobs by id. Replies how many. */
export const deletePendingScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'call'],
  list: 'ids',
  parse: Number,
});
