-- A worker stops, and says so. Its catalogue stays, and so does its profile: it may come back.
--
-- ARGV[1] prefix
-- ARGV[2] worker  its id
-- Returns nothing
-- Sent again: it writes the same again; APIs read the registry once more.
-- Caller dies: the capabilities are gone by then, or run out.

-- @include now
-- @keys worker workers fleet announce_channel

redis.call('DEL', worker_key(worker))
redis.call('ZREM', workers_key, worker)
local known = redis.call('HGET', fleet_key, worker)
if known then redis.call('HSET', fleet_key, worker, (string.gsub(known, '^(%d+) 1 ', '%1 0 '))) end
redis.call('PUBLISH', announce_channel, worker)
