-- Who is to be woken. It follows from the facts: asked again, it answers the same.

-- @include now
-- @include fair-share
-- @include limits
-- @keys held tenants comers spare waiting_permits

-- Permits that may wait at once (MAX_WAITING_PERMITS in permits.ts).
local MAX_WAITING_PERMITS = 256

-- Returns permits to add now, and when the next limit lifts: in epoch ms, and how long until then; '' for never.
-- One for each tenant that may start jobs: whoever takes it wakes the next, until all hands are busy.
local function wake()
  if not has_records and not was_holding then return 0, '', '' end
  local free = redis.call('ZCARD', tenants_key) + redis.call('ZCARD', comers_key) + redis.call('ZCARD', spare_key)
  local permits = 0
  if free > 0 then
    permits = math.max(0, math.min(free, MAX_WAITING_PERMITS) - redis.call('LLEN', waiting_permits_key))
  end
  local due = redis.call('ZRANGE', held_key, 0, 0, 'WITHSCORES')[2]
  if not due or due == 'inf' then return permits, '', '' end
  return permits, due, string.format('%.0f', math.max(0, due - now))
end
