import { RedisScript } from '@tiercel/runtime';

/** Ends an API key at once. Replies whether there is such a key. */
export const revokeKeyScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'id', 'kept_ms', 'who', 'from', 'audit_max'],
  parse: (reply) => reply === 1,
});
