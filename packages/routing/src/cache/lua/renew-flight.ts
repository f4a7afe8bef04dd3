import { RedisScript } from '@tiercel/runtime';

/** Prolongs the lease of a leader that works on. */
export const renewFlightScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['flight'],
  args: ['token', 'lease_ms'],
  parse: (reply) => reply === 1,
});
