-- What the scripts of the tier state store share. A tier has a hash (failures, trips, open_until, reason, probe), a
-- list of recent times, and two sorted sets of leases by the time they run out: of attempts, beside which is the line
-- for their slots (slot-lines), and of jobs that wait for this tier before any other. A probe counts while its lease
-- lives, so a worker that dies while it probes gives the probe back by itself. All times are by Redis' clock.

-- @include now
-- @keys tier_running tier

local function count_live(leases)
  return redis.call('ZCOUNT', leases, string.format('(%.0f', now), '+inf')
end

local function is_live(leases, lease)
  local runs_out = lease and redis.call('ZSCORE', leases, lease)
  return runs_out and tonumber(runs_out) > now or false
end

local function is_probing(tier)
  return is_live(tier_running_key(tier), redis.call('HGET', tier_key(tier), 'probe'))
end
