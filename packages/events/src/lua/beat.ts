import { RedisScript } from '@tiercel/runtime';

/** A pulse: what a process tells itself. Replies how many heard it. */
export const beatScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'process', 'count'],
  parse: (reply) => reply as number,
});
