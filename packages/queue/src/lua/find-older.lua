-- Members of a sorted set that were put there, by Redis' clock, longer ago than a time; the oldest first.
--
-- KEYS[1] set            members by epoch ms
-- ARGV[1] older_than_ms
-- ARGV[2] most           members to return
-- Returns members
-- Sent again: it only reads.

-- @include now

local limit = string.format('(%.0f', now - tonumber(older_than_ms))
return redis.call('ZRANGE', set, '-inf', limit, 'BYSCORE', 'LIMIT', 0, most)
