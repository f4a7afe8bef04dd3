-- What a follower waits for: one command, so that entry and lease are seen together.
--
-- KEYS[1] entry   the result
-- KEYS[2] flight  the leader's lease
-- ARGV[1] leader  its token
-- Returns 'stored', 'flying', 'leader_gone'
-- Sent again: it only reads.

if redis.call('EXISTS', entry) == 1 then return 'stored' end
return redis.call('GET', flight) == leader and 'flying' or 'leader_gone'
