import { lua, LUA_NOW } from '@tiercel/contracts';
import { RedisScript, type Redis } from '@tiercel/runtime';

/** A lease whose worker has not said so for this long is void. */
export const LEASE_MS = 15_000;
export const RENEW_MS = 5_000;

/** Prolongs a lease; one that is gone is not brought back. */
export const renewLeaseScript = new RedisScript({
  name: 'renew-lease',
  keys: ['leases'],
  args: ['lease', 'lease_ms'],
  lua: lua`
-- KEYS[1] leases    by the time they run out, epoch ms by Redis' clock
-- ARGV[1] lease
-- ARGV[2] lease_ms
${LUA_NOW}
redis.call('ZADD', leases, 'XX', now + lease_ms, lease)
redis.call('PEXPIRE', leases, lease_ms * 4)
`,
  parse: () => undefined,
});

/**
 * Renews a lease in a sorted set of leases by expiry until the returned function is called. All of it goes by
 * Redis' clock: those of workers differ.
 */
export function keepLease(redis: Redis, leases: string, lease: string): () => void {
  const renewal = setInterval(() => {
    renewLeaseScript.run(redis, { leases, lease, lease_ms: LEASE_MS }).catch(() => undefined);
  }, RENEW_MS);
  return () => {
    clearInterval(renewal);
  };
}
