import { RedisScript } from '@tiercel/runtime';

/** Keeps a result, and drops those least recently used when there is no room. Replies whether it was kept. */
export const storeResultScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'hash', 'value', 'bytes', 'life_ms', 'max_bytes'],
  parse: (reply) => reply === 1,
});
