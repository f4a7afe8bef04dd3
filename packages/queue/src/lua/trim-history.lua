-- Removes the oldest ended jobs, a batch at a time: those that ended up to a moment, those that ended some time
-- ago, or those that are more than a number. Done when it returns 0.
--
-- ARGV[1] prefix
-- ARGV[2] ended_by       epoch ms by Redis' clock, '' for whenever
-- ARGV[3] older_than_ms  '' for however old
-- ARGV[4] keep           as many at least
-- ARGV[5] batch
-- Returns the count
-- Sent again: the next batch, under the same limits.
-- Caller dies: the sweeper goes on.

-- @include now
-- @include members
-- @include forget-job
-- @keys history job

local most = math.min(tonumber(batch), redis.call('ZCARD', history_key) - tonumber(keep))
if most <= 0 then return 0 end
local limit = '+inf'
if ended_by ~= '' then limit = ended_by end
if older_than_ms ~= '' then limit = string.format('(%.0f', now - tonumber(older_than_ms)) end
local members = redis.call('ZRANGE', history_key, '-inf', limit, 'BYSCORE', 'LIMIT', 0, most)
for _, m in ipairs(members) do
  local id = id_of(m)
  local state, workflow = unpack(redis.call('HMGET', job_key(id), 'state', 'workflow'))
  redis.call('ZREM', history_key, m)
  forget(id, m, state or 'success', workflow)
end
return #members
