import { RedisScript } from '@tiercel/runtime';

/** Writes a signing secret of a tenant. */
export const putSecretScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['key'],
  args: ['name', 'value', 'mode', 'most'],
  parse: (reply) => reply as 'ok' | 'full',
});
