-- Prolongs a lease; one that is gone is not brought back.
--
-- KEYS[1] leases    by the time they run out, epoch ms by Redis' clock
-- ARGV[1] lease
-- ARGV[2] lease_ms
-- Returns nothing
-- Sent again: it is prolonged again.
-- Caller dies: the lease runs out.

-- @include now

redis.call('ZADD', leases, 'XX', now + lease_ms, lease)
redis.call('PEXPIRE', leases, lease_ms * 4)
