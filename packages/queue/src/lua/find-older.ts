import { RedisScript } from '@tiercel/runtime';

/** Members of a sorted set that were put there, by Redis' clock, longer ago than a time; the oldest first. */
export const findOlderScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['set'],
  args: ['older_than_ms', 'most'],
  parse: (reply) => reply as string[],
});
