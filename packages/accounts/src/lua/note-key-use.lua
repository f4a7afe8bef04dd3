-- Notes that an API key was used, unless a process did so a moment ago.
--
-- ARGV[1] prefix
-- ARGV[2] hash       of the key's text
-- ARGV[3] every_ms   between two notes
-- Returns 1, or 0 when nothing was noted
-- Sent again: it is a moment ago then.

-- @include now
-- @keys api_key

local key = api_key_key(hash)
if redis.call('EXISTS', key) == 0 then return 0 end
local last = tonumber(redis.call('HGET', key, 'last_used_at') or '') or 0
if now - last < tonumber(every_ms) then return 0 end
redis.call('HSET', key, 'last_used_at', now)
return 1
