import { RedisScript } from '@tiercel/runtime';

/** Writes or deletes a tenant's webhook. */
export const putEndpointScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'tenant', 'id', 'value', 'mode', 'most'],
  parse: (reply) => reply as 'ok' | 'full' | 'unknown',
});
