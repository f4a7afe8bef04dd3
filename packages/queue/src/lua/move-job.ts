import { RedisScript } from '@tiercel/runtime';

/** Gives a waiting job another number. Replies that number; undefined when the job does not wait. */
export const moveJobScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'call', 'id', 'number'],
  parse: (reply) => (typeof reply === 'string' ? Number(reply) : undefined),
});
