import { RedisScript } from '@tiercel/runtime';

/** Delivers once more by hand. */
export const redeliverScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'tenant', 'id', 'limits_json'],
  parse: (reply) => reply as 'waiting' | 'full' | 'gone' | 'unknown',
});
