-- What the scripts of the result cache share.
--
-- Last use is a number that counts up, not a time: uses within one millisecond have an order too. Redis drops an
-- entry by itself when it is too old; its bookkeeping goes with the next script that meets it. When nothing is
-- left in the index the bookkeeping starts afresh, so a lost key makes the sums wrong for a while only.

-- @keys result results results_expiry results_sizes

local function drop(hash)
  redis.call('DEL', result_key(hash))
  redis.call('ZREM', results_key, hash)
  redis.call('ZREM', results_expiry_key, hash)
  local size = redis.call('HGET', results_sizes_key, hash)
  if size then
    redis.call('HDEL', results_sizes_key, hash)
    redis.call('HINCRBY', results_sizes_key, '#bytes', -tonumber(size))
  end
  if redis.call('ZCARD', results_key) == 0 then redis.call('DEL', results_expiry_key, results_sizes_key) end
end

local function touch(hash)
  redis.call('ZADD', results_key, redis.call('HINCRBY', results_sizes_key, '#uses', 1), hash)
end

-- nil for an absent entry and for a key of another type.
local function value_of(hash)
  local value = redis.pcall('GET', result_key(hash))
  if type(value) == 'string' then return value end
  return nil
end

local function expiry_of(hash)
  return tonumber(redis.call('ZSCORE', results_expiry_key, hash) or 0)
end
