import { lua, LUA_NOW } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';

/** Members of a sorted set that were put there, by Redis' clock, longer ago than a time; the oldest first. */
export const findOlderScript = new RedisScript({
  name: 'find-older',
  keys: ['set'],
  args: ['older_than_ms', 'most'],
  lua: lua`
-- KEYS[1] set            members by epoch ms
-- ARGV[1] older_than_ms
-- ARGV[2] most           members to return
-- Returns members
${LUA_NOW}
local limit = string.format('(%.0f', now - tonumber(older_than_ms))
return redis.call('ZRANGE', set, '-inf', limit, 'BYSCORE', 'LIMIT', 0, most)
`,
  parse: (reply) => reply as string[],
});
