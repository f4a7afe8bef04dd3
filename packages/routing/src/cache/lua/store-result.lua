-- Keeps a result, and drops those least recently used when there is no room.
--
-- ARGV[1] prefix
-- ARGV[2] hash       of the request
-- ARGV[3] value
-- ARGV[4] bytes      that it costs
-- ARGV[5] life_ms
-- ARGV[6] max_bytes  of all results
-- Returns 1, or 0 when it is larger than the whole cache or a result with a longer life is there
-- Sent again: the same result takes its own place.

-- @include now
-- @include results
-- @keys results_expiry result results_sizes results

-- Expired entries that one call clears away, at most.
local SWEEP_LIMIT = 1000

local size, life, most = tonumber(bytes), tonumber(life_ms), tonumber(max_bytes)
local expired = redis.call('ZRANGE', results_expiry_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, SWEEP_LIMIT)
for _, old in ipairs(expired) do drop(old) end
if size > most or life <= 0 then return 0 end
if value_of(hash) and expiry_of(hash) > now + life then return 0 end
drop(hash)
redis.call('SET', result_key(hash), value, 'PX', life)
redis.call('ZADD', results_expiry_key, now + life, hash)
redis.call('HSET', results_sizes_key, hash, size)
redis.call('HINCRBY', results_sizes_key, '#bytes', size)
touch(hash)
while tonumber(redis.call('HGET', results_sizes_key, '#bytes') or 0) > most do
  drop(redis.call('ZRANGE', results_key, 0, 0)[1])
end
return redis.call('EXISTS', result_key(hash))
