-- A permit was delivered: the job it had before (its worker died), else the next one whose turn it is.
--
-- ARGV[1] prefix
-- ARGV[2] permit
-- ARGV[3] worker
-- ARGV[4] profile  of the worker: what it can run; '' when it does not say
-- ARGV[5] claim    id for the claim that is to be: sent again, the script finds it on the record
-- Returns {the job as in take-job or nil, then as wake() tells}
--       | {'other', id, claim} of the job that it had before, when this worker cannot run it: it is to be put back, and
--         the permit asked for once more
-- Sent again: the same job, as it is: its record names the claim.
-- Caller dies: the permit is delivered again and gets the same job, as one more attempt.

-- @include take-job
-- @include wake
-- @keys job permits

local given = redis.call('HGET', permits_key, permit)
if given then
  local state, holder, its_permit, kind =
    unpack(redis.call('HMGET', job_key(given), 'state', 'claim', 'permit', 'kind'))
  local is_its = state == 'running' and its_permit == permit
  if is_its and holder ~= claim and not rank_for(profile, kind) then return { 'other', given, holder or '' } end
  local job = take_again(permit, worker, claim, given)
  if job then return { job } end
end
local job = take_next(permit, worker, claim, profile)
return { job or false, wake() }
