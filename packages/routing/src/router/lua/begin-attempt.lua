-- Takes a place on a tier, and the probe of a breaker whose pause is over.
--
-- ARGV[1] prefix
-- ARGV[2] tier      its name
-- ARGV[3] lease     sent again, the script finds it among those that run
-- ARGV[4] lease_ms
-- ARGV[5] limit     of attempts at once; 0 for none, -1 to enter in any case
-- Returns 'ok', 'probe', 'open' (the breaker), or 'full' (then the lease waits)
-- Sent again: as the first time: the lease is among those that run.
-- Caller dies: the lease runs out, and gives the place and the probe back.

-- @include now
-- @include tiers
-- @keys tier_running tier tier_waiting

local most = tonumber(limit)
if is_live(tier_running_key(tier), lease) then
  return redis.call('HGET', tier_key(tier), 'probe') == lease and 'probe' or 'ok'
end
local open_until = tonumber(redis.call('HGET', tier_key(tier), 'open_until') or '0')
if most >= 0 and (open_until > now or (open_until > 0 and is_probing(tier))) then return 'open' end
redis.call('ZREMRANGEBYSCORE', tier_running_key(tier), '-inf', now)
redis.call('ZREMRANGEBYSCORE', tier_waiting_key(tier), '-inf', now)
if most > 0 and redis.call('ZCARD', tier_running_key(tier)) >= most then
  redis.call('ZADD', tier_waiting_key(tier), now + lease_ms, lease)
  redis.call('PEXPIRE', tier_waiting_key(tier), lease_ms * 4)
  return 'full'
end
local is_probe = open_until > 0 and not is_probing(tier)
if is_probe then redis.call('HSET', tier_key(tier), 'probe', lease) end
redis.call('ZREM', tier_waiting_key(tier), lease)
redis.call('ZADD', tier_running_key(tier), now + lease_ms, lease)
redis.call('PEXPIRE', tier_running_key(tier), lease_ms * 4)
return is_probe and 'probe' or 'ok'
