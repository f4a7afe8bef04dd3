import { lua, LUA_NOW } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_RESULTS } from './result-parts.ts';

/** The value of a stored result, which counts as used now; undefined when there is none. */
export const findResultScript = new RedisScript({
  name: 'find-result',
  args: ['prefix', 'hash'],
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] hash    of the request
-- Returns the value, or nil
${LUA_NOW}
${LUA_RESULTS}
local value = value_of(hash)
if value and expiry_of(hash) > now then
  touch(hash)
  return value
end
drop(hash)
return nil
`,
  parse: (reply) => (typeof reply === 'string' ? reply : undefined),
});
