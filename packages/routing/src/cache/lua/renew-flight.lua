-- Prolongs the lease of a leader that works on.
--
-- KEYS[1] flight    the leader's lease
-- ARGV[1] token
-- ARGV[2] lease_ms
-- Returns 1, or 0 when the lease is another's
-- Sent again: it is prolonged again.
-- Caller dies: the lease runs out, and a follower leads.

if redis.call('GET', flight) ~= token then return 0 end
return redis.call('PEXPIRE', flight, lease_ms)
