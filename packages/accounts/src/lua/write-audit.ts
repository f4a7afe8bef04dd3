import { RedisScript } from '@tiercel/runtime';

/** Writes down a change that is made elsewhere. */
export const writeAuditScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'action', 'target', 'before', 'after', 'who', 'from', 'audit_max'],
  parse: () => undefined,
});
