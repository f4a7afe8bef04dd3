-- A pulse: what a process sends itself: '<count> <newest end>', so that it
-- sees what it missed.
--
-- ARGV[1] prefix
-- ARGV[2] process  whose pulse it is
-- ARGV[3] count    its number
-- Returns how many received it
-- Sent again: the pulse is received twice, which says no more than once.

-- @keys ends pulse_channel

local newest = redis.call('XREVRANGE', ends_key, '+', '-', 'COUNT', 1)[1]
return redis.call('PUBLISH', pulse_channel(process), count .. ' ' .. (newest and newest[1] or '0-0'))
