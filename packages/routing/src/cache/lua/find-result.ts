import { RedisScript } from '@tiercel/runtime';

/** The value of a stored result, which counts as used now; undefined when there is none. */
export const findResultScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'hash'],
  parse: (reply) => (typeof reply === 'string' ? reply : undefined),
});
