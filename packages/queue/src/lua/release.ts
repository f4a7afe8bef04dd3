import { lua, luaNames } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_LANES } from './parts.ts';

/**
 * Lets pending jobs be taken, once their answers have been flushed to the callers. Replies how many permits must
 * be added; it reads, never writes, BullMQ's list of waiting ones.
 */
export const releaseScript = new RedisScript({
  name: 'release',
  args: ['prefix', 'max_waiting'],
  list: 'ids',
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] max_waiting  permits that may wait at once
-- ARGV[3..] ids        of jobs
-- Returns the number of permits to add
${LUA_LANES}
${luaNames('job', 'unreleased', 'waiting_permits')}
local ready = 0
for _, id in ipairs(ids) do
  local m, tenant, lane, number, state =
    unpack(redis.call('HMGET', job_key(id), 'm', 'tenant', 'lane', 'number', 'state'))
  local is_new = redis.call('ZREM', unreleased_key, id) == 1
  if not m then
    -- Deleted meanwhile.
  elseif is_new then
    ready = ready + make_available(tenant, lane, m, number)
  elseif state == 'pending' and redis.call('ZSCORE', ready_key(tenant), m) then
    -- Released before: its permit was asked for by a call whose reply was lost, or is one too many.
    ready = ready + 1
  end
end
return math.max(0, math.min(ready, tonumber(max_waiting) - redis.call('LLEN', waiting_permits_key)))
`,
  parse: Number,
});
