import { RedisScript } from '@tiercel/runtime';

/** Counts the ready jobs that a free hand could take, and repairs who may start. */
export const countStartableScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'most'],
  parse: Number,
});
