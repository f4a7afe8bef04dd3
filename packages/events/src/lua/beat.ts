import { lua, luaNames } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';

/** A pulse: what a process tells itself. Replies how many heard it. */
export const beatScript = new RedisScript({
  name: 'beat',
  args: ['prefix', 'process', 'count'],
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] process  whose pulse it is
-- ARGV[3] count    its number
-- Tells '<count> <newest end>'
${luaNames('ends', 'pulse_channel')}
local newest = redis.call('XREVRANGE', ends_key, '+', '-', 'COUNT', 1)[1]
return redis.call('PUBLISH', pulse_channel(process), count .. ' ' .. (newest and newest[1] or '0-0'))
`,
  parse: (reply) => reply as number,
});
