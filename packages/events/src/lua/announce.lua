-- One heartbeat of a worker, noted by Redis' clock: clocks of workers differ.
--
-- ARGV[1] prefix
-- ARGV[2] worker            its id
-- ARGV[3] text              the capabilities, JSON
-- ARGV[4] ttl_ms            life of the capabilities
-- ARGV[5] catalogue         hash of its node catalogue
-- ARGV[6] catalogue_ttl_ms  life of catalogues that no worker has
-- ARGV[7] is_news           1: the APIs get a message at once
-- ARGV[8] profile           id of its profile
-- ARGV[9] known_ms          for so long a worker that is gone may come back
-- ARGV[10] is_drained       1: it starts no more jobs
-- Returns nothing
-- Sent again: it writes the same again; APIs read the worker once more.
-- Caller dies: the capabilities run out.

-- @include now
-- @keys worker workers catalogues catalogue fleet profile announce_channel

redis.call('SET', worker_key(worker), text, 'PX', ttl_ms)
redis.call('ZADD', workers_key, now, worker)
redis.call('ZREMRANGEBYSCORE', workers_key, '-inf', now - 2 * ttl_ms)
redis.call('ZADD', catalogues_key, now, catalogue)
local old = redis.call('ZRANGE', catalogues_key, '-inf', now - catalogue_ttl_ms, 'BYSCORE')
for _, hash in ipairs(old) do
  redis.call('ZREM', catalogues_key, hash)
  redis.call('DEL', catalogue_key(hash))
end
-- Workers that are up or were not long ago: when each spoke last, whether it is up, whether it is drained, its profile, its catalogue.
redis.call('HSET', fleet_key, worker, string.format('%.0f 1 %s %s %s', now, is_drained, profile, catalogue))
redis.call('PEXPIRE', profile_key(profile), catalogue_ttl_ms)
local known = redis.call('HGETALL', fleet_key)
for i = 1, #known, 2 do
  if now - string.match(known[i + 1], '^%d+') > tonumber(known_ms) then redis.call('HDEL', fleet_key, known[i]) end
end
if is_news == '1' then redis.call('PUBLISH', announce_channel, worker) end
