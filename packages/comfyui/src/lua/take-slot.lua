-- Takes a place on the server with the least to do: held places count double, the penalty once. One step, so
-- that jobs that choose at the same moment do not all choose the same server.
--
-- ARGV[1] lease      sent again, the script finds it where it put it
-- ARGV[2] lease_ms
-- ARGV[3] slots      places on each server
-- ARGV[4..] servers  for each: key of its leases (by the time they run out, by Redis' clock), penalty
-- Returns the place of the server in the list, from 1; 0 when all places are taken
-- Sent again: it finds the lease where it put it.
-- Caller dies: the lease runs out.

-- @include now

local best, least = 0, nil
for i = 1, #servers, 2 do
  local leases = servers[i]
  local mine = redis.call('ZSCORE', leases, lease)
  if mine and tonumber(mine) > now then
    best = i
    break
  end
  local held = redis.call('ZCOUNT', leases, string.format('(%.0f', now), '+inf')
  local rank = held * 2 + servers[i + 1]
  if held < tonumber(slots) and (not least or rank < least) then best, least = i, rank end
end
if best == 0 then return 0 end
local leases = servers[best]
redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
redis.call('ZADD', leases, now + lease_ms, lease)
redis.call('PEXPIRE', leases, lease_ms * 4)
return (best + 1) / 2
