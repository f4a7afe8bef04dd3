-- Takes a slot of a tier, and the probe of a breaker whose pause is over. Without a slot the lease joins the line
-- of the tier, and of others that would do as well.
--
-- ARGV[1] prefix
-- ARGV[2] tier      its name
-- ARGV[3] lease     sent again, the script finds it among those that run
-- ARGV[4] lease_ms
-- ARGV[5] limit     of attempts at once; 0 for none, -1 to enter in any case
-- ARGV[6] said      when the lease came, as an earlier reply said; '' for now
-- ARGV[7] wait_ms   how long it counts as waiting; 0 to stand in no line
-- ARGV[8..] others  names of tiers to wait for, too
-- Returns 'ok', 'probe', 'open' (the breaker) or 'full'; when the lease came; ms until it asks again; those ahead
-- Sent again: as the first time: the lease is among those that run, or in its line.
-- Caller dies: the lease runs out, and gives the slot, the probe or the turn back.

-- @include now
-- @include tiers
-- @include slot-lines
-- @keys tier_running tier tier_waiting

local most, wait = tonumber(limit), tonumber(wait_ms)
local leases = tier_running_key(tier)
local came = came_at(lease, said, leases)
if is_live(leases, lease) then
  return { redis.call('HGET', tier_key(tier), 'probe') == lease and 'probe' or 'ok', came, 0, 0 }
end
local function leave_lines(is_more)
  redis.call('ZREM', tier_waiting_key(tier), lease)
  if not stop_waiting(lease) then return end
  redis.call('ZREM', line_of(leases), lease)
  if is_more then wake_line(leases) end
  for _, other in ipairs(others) do leave_line(tier_running_key(other), lease) end
end
local open_until = tonumber(redis.call('HGET', tier_key(tier), 'open_until') or '0')
if most >= 0 and (open_until > now or (open_until > 0 and is_probing(tier))) then
  leave_lines(true)
  return { 'open', came, 0, 0 }
end
redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
redis.call('ZREMRANGEBYSCORE', tier_waiting_key(tier), '-inf', now)
local free, ask_in = 1, 0
if most > 0 then free, ask_in = find_free(leases, most, came) end
if free == 0 then
  if wait > 0 then
    redis.call('ZADD', tier_waiting_key(tier), now + wait, lease)
    redis.call('PEXPIRE', tier_waiting_key(tier), wait * 4)
    join_line(leases, lease, came, wait)
    for _, other in ipairs(others) do join_line(tier_running_key(other), lease, came, wait) end
    keep_waiting(lease, wait)
  end
  return { 'full', came, ask_in, redis.call('ZRANK', line_of(leases), lease) or 0 }
end
local is_probe = open_until > 0 and not is_probing(tier)
if is_probe then redis.call('HSET', tier_key(tier), 'probe', lease) end
hold(leases, lease, lease_ms)
leave_lines(free > 1)
return { is_probe and 'probe' or 'ok', came, 0, 0 }
