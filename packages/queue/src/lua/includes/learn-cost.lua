-- Learns what jobs of a signature cost: the mean, in which each new one counts a quarter.

-- @include now
-- @keys costs costs_recent

-- Signatures that are kept: those used last.
local MAX_COSTS = 10000

local function learn(signature, cost)
  if not signature or signature == '' then return end
  local known = redis.call('HGET', costs_key, signature)
  redis.call('HSET', costs_key, signature, known and known + (cost - known) / 4 or cost)
  redis.call('ZADD', costs_recent_key, now, signature)
  if redis.call('ZCARD', costs_recent_key) > MAX_COSTS then
    local oldest = redis.call('ZPOPMIN', costs_recent_key)[1]
    redis.call('HDEL', costs_key, oldest)
  end
end
