import { RedisScript } from '@tiercel/runtime';

/** Makes an API key; with `replaces` it takes the place of an earlier one, which ends. */
export const createKeyScript = new RedisScript({
  wrapper: import.meta.url,
  args: [
    ...(['prefix', 'hash', 'id', 'name', 'tenant', 'plan', 'role', 'expires_at'] as const),
    ...(['only_first', 'replaces', 'grace_ms', 'kept_ms', 'after', 'who', 'from'] as const),
    'audit_max',
  ],
  parse: Number,
});
