-- The leader has ended; a lease that is another's by now stays.
--
-- KEYS[1] flight  the leader's lease
-- ARGV[1] token
-- Returns nothing
-- Sent again: nothing is left to release.

if redis.call('GET', flight) == token then redis.call('DEL', flight) end
