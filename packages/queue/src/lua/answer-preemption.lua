-- The worker of a run that was chosen to make room says whether it does: only a worker knows what a run has cost.
--
-- ARGV[1] prefix
-- ARGV[2] id       of the job
-- ARGV[3] claim
-- ARGV[4] goes_on  0: it is about to be stopped and handed back; 1: it is not, nor is it chosen again
-- Returns 1, or 0 when the claim is void or the run is not to make room
-- Sent again: it writes the same again.
-- Caller dies: the permit is delivered again; what the run had begun is not gone on with once it was to be stopped.

-- @include claim
-- @keys job

if not is_held(id, claim) then return 0 end
local preempted_by, kept = unpack(redis.call('HMGET', job_key(id), 'preempted_by', 'kept_claim'))
if not preempted_by then return goes_on == '1' and kept == claim and 1 or 0 end
if goes_on == '1' then
  redis.call('HDEL', job_key(id), 'preempted_by')
  redis.call('HSET', job_key(id), 'kept_claim', claim)
else
  redis.call('HDEL', job_key(id), 'note')
end
return 1
