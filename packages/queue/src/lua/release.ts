import { RedisScript } from '@tiercel/runtime';

/** Lets pending jobs be taken. Replies how many permits must be added. */
export const releaseScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'max_waiting'],
  list: 'ids',
  parse: Number,
});
