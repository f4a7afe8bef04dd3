import { RedisScript } from '@tiercel/runtime';

/** A worker stops, and says so. */
export const withdrawScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'worker'],
  parse: () => undefined,
});
