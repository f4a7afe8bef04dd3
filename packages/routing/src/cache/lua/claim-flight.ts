import { RedisScript } from '@tiercel/runtime';

/** Makes a job the leader of its equals unless there is one, or a result already. */
export const claimFlightScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['entry', 'flight'],
  args: ['token', 'lease_ms'],
  parse: String,
});
