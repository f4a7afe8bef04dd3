import { RedisScript } from '@tiercel/runtime';

/** Drops a value that proved useless; one that was stored in its place meanwhile stays. */
export const dropResultScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'hash', 'value'],
  parse: () => undefined,
});
