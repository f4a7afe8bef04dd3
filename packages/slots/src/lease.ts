import type { Redis } from '@tiercel/runtime';
import { renewLeaseScript } from './lua/renew-lease.ts';

/** A lease whose worker has not said so for this long is void. */
export const LEASE_MS = 15_000;
export const RENEW_MS = 5_000;

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
