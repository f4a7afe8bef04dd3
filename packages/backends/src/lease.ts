import type { Clock, Redis } from '@tiercel/runtime';

/** A lease whose worker has not said so for this long is void. */
export const LEASE_MS = 15_000;
export const RENEW_MS = 5_000;

/**
 * Renews a lease in a sorted set of leases by expiry (epoch ms) until the returned function is called; one
 * that is gone is not brought back.
 */
export function keepLease(redis: Redis, clock: Clock, key: string, lease: string): () => void {
  const renewal = setInterval(() => {
    redis
      .pipeline()
      .zadd(key, 'XX', clock.now() + LEASE_MS, lease)
      .pexpire(key, LEASE_MS * 4)
      .exec()
      .catch(() => undefined);
  }, RENEW_MS);
  return () => {
    clearInterval(renewal);
  };
}
