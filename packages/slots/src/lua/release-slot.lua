-- Gives a slot back, and wakes those that wait for it.
--
-- KEYS[1] leases  of the resource
-- ARGV[1] prefix
-- ARGV[2] lease
-- Returns nothing
-- Sent again: nothing: the lease is gone.

-- @include slot-lines

if redis.call('ZREM', leases, lease) == 1 then wake_line(leases) end
