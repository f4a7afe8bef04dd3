import { RedisScript } from '@tiercel/runtime';

/** Limits that are no numbers of places. */
export const NO_LIMIT = 0;
export const ENTER_ANYHOW = -1;

/** Takes a place on a tier, and the probe of a breaker whose pause is over. */
export const beginAttemptScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'tier', 'lease', 'lease_ms', 'limit'],
  parse: (reply) => reply as 'ok' | 'probe' | 'open' | 'full',
});
