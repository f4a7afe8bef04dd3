import { RedisScript } from '@tiercel/runtime';

/** Puts a running job back in its old place in the queue. Replies whether a permit must be added. */
export const handBackScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'id', 'claim', 'counts'],
  parse: (reply) => reply === 1,
});
