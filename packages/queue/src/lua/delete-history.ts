import { RedisScript } from '@tiercel/runtime';

/** Removes ended jobs from history by id. Replies how many. */
export const deleteHistoryScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'call'],
  list: 'ids',
  parse: Number,
});
