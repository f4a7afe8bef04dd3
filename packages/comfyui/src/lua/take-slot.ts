import { RedisScript } from '@tiercel/runtime';

/** Takes a place on the server with the least to do. Replies the server's place in the list, from 1; 0: all are full. */
export const takeSlotScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['lease', 'lease_ms', 'slots'],
  list: 'servers',
  parse: Number,
});
