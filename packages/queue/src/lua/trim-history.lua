-- Removes the oldest ended jobs, a batch at a time: those that ended up to a moment, those that ended some time
-- ago, or those that are more than a number. Done when it returns 0.
--
-- ARGV[1] prefix
-- ARGV[2] set            part of the history: a tenant's own, or that of all but the default tenant
-- ARGV[3] ended_by       epoch ms by Redis' clock, '' for whenever
-- ARGV[4] older_than_ms  '' for however old
-- ARGV[5] keep           as many at least
-- ARGV[6] batch
-- Returns the count
-- Sent again: the next batch, under the same limits.
-- Caller dies: the sweeper goes on.

-- @include tenants
-- @include now
-- @include members
-- @include forget-job
-- @include history
-- @keys history history_sizes job

local function remove(m)
  local id = id_of(m)
  local state, workflow = unpack(redis.call('HMGET', job_key(id), 'state', 'workflow'))
  remove_from_history(tenant_of(id), m)
  forget(id, m, state or 'success', workflow)
end

local most = math.min(tonumber(batch), redis.call('ZCARD', set) - tonumber(keep))
if most <= 0 then return 0 end
local is_by_number = ended_by == '' and older_than_ms == ''
if is_by_number and set == history_key .. '@' then
  -- Tenants share the room: who has most there loses its oldest.
  for _ = 1, most do
    local tenant = redis.call('ZRANGE', history_sizes_key, 0, 0, 'REV')[1]
    local oldest = tenant and redis.call('ZRANGE', own(history_key, tenant), 0, 0)[1]
    if not oldest then return 0 end
    remove(oldest)
  end
  return most
end
local limit = '+inf'
if ended_by ~= '' then limit = ended_by end
if older_than_ms ~= '' then limit = string.format('(%.0f', now - tonumber(older_than_ms)) end
local members = redis.call('ZRANGE', set, '-inf', limit, 'BYSCORE', 'LIMIT', 0, most)
for _, m in ipairs(members) do remove(m) end
return #members
