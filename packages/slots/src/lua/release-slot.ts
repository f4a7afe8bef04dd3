import { RedisScript } from '@tiercel/runtime';

/** Gives a slot back, and wakes those that wait for it. */
export const releaseSlotScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['leases'],
  args: ['prefix', 'lease'],
  parse: () => undefined,
});
