import { RedisScript } from '@tiercel/runtime';

/** Closes the breaker of a tier. */
export const resetBreakerScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'tier', 'who', 'from', 'audit_max'],
  parse: () => undefined,
});
