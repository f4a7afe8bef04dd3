-- Makes a job the leader of its equals unless there is one, or a result already.
--
-- KEYS[1] entry     the result
-- KEYS[2] flight    the leader's lease
-- ARGV[1] token     of this job: sent again, it leads already
-- ARGV[2] lease_ms
-- Returns 'stored', 'leader', or the leader's token
-- Sent again: 'leader': the lease has the token.
-- Caller dies: the lease runs out, and a follower leads.

if redis.call('EXISTS', entry) == 1 then return 'stored' end
local leader = redis.call('GET', flight)
if leader and leader ~= token then return leader end
redis.call('SET', flight, token, 'PX', lease_ms)
return 'leader'
