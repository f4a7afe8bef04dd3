import { RedisScript } from '@tiercel/runtime';

/** Prolongs a lease; one that is gone is not brought back. */
export const renewLeaseScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['leases'],
  args: ['lease', 'lease_ms'],
  parse: () => undefined,
});
