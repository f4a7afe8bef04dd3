-- What scripts that hand out slots share. A resource is known by the key of its leases: a sorted set of who holds
-- a slot, by the time that runs out. Beside it is its line: who waits for one, by the time of arrival in
-- microseconds. Only who is in the set of waiters, whose leases run out, counts in a line; so who takes a slot,
-- gives up or dies is out of all lines at once. All times are by Redis' clock.

-- @include now
-- @keys slot_waiters slot_channel

local function line_of(leases) return leases .. ':line' end
local function has_slot(leases, lease)
  local runs_out = redis.call('ZSCORE', leases, lease)
  return runs_out and tonumber(runs_out) > now or false
end
-- Slots that are left for one who came at that time, and ms until the first lease in its way runs out.
local function find_free(leases, limit, came)
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
  local free = limit - redis.call('ZCARD', leases)
  if free <= 0 then
    return 0, redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2] - now
  end
  local soonest = math.huge
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', line_of(leases), '-inf', '(' .. came)) do
    local waits_until = redis.call('ZSCORE', slot_waiters_key, other)
    if waits_until and tonumber(waits_until) > now then
      free = free - 1
      soonest = math.min(soonest, waits_until - now)
      if free == 0 then return 0, soonest end
    else
      redis.call('ZREM', line_of(leases), other)
    end
  end
  return free, 0
end
-- When a lease came: as it says itself, or as it was written down by a call whose reply was lost, or now.
local function came_at(lease, said, leases)
  if said ~= '' then return said end
  local noted = leases and redis.call('ZSCORE', line_of(leases), lease)
  return string.format('%.0f', noted or now_us)
end
local function hold(leases, lease, lease_ms)
  redis.call('ZADD', leases, now + lease_ms, lease)
  redis.call('PEXPIRE', leases, lease_ms * 4)
end
local function join_line(leases, lease, came, wait_ms)
  redis.call('ZADD', line_of(leases), came, lease)
  redis.call('PEXPIRE', line_of(leases), wait_ms * 4)
end
local function keep_waiting(lease, wait_ms)
  redis.call('ZREMRANGEBYSCORE', slot_waiters_key, '-inf', now)
  redis.call('ZADD', slot_waiters_key, now + wait_ms, lease)
  redis.call('PEXPIRE', slot_waiters_key, wait_ms * 4)
end
-- Whether it waited.
local function stop_waiting(lease)
  return redis.call('ZREM', slot_waiters_key, lease) == 1
end
-- Tells those in a line that there may be a slot.
local function wake_line(leases)
  if redis.call('EXISTS', line_of(leases)) == 1 then redis.call('PUBLISH', slot_channel, leases) end
end
local function leave_line(leases, lease)
  if redis.call('ZREM', line_of(leases), lease) == 1 then wake_line(leases) end
end
