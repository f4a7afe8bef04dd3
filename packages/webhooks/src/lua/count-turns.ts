import { RedisScript } from '@tiercel/runtime';

/** Holds the lease of the dispatcher, and counts what could be taken; -1 when another process has the lease. */
export const countTurnsScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'lease', 'lease_ms', 'most', 'limits_json'],
  parse: Number,
});
