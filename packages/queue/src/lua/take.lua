-- A permit was delivered: the job it had before (its worker died), else the next one whose turn it is.
--
-- ARGV[1] prefix
-- ARGV[2] permit
-- ARGV[3] worker
-- ARGV[4] claim   id for the claim that is to be: sent again, the script finds it on the record
-- Returns {the job as in take-job or nil, then as wake() tells}
-- Sent again: the same job, as it is: its record names the claim.
-- Caller dies: the permit is delivered again and gets the same job, as one more attempt.

-- @include take-job
-- @include wake
-- @keys permits

local given = redis.call('HGET', permits_key, permit)
if given then
  local job = take_again(permit, worker, claim, given)
  if job then return { job } end
end
local job = take_next(permit, worker, claim)
return { job or false, wake() }
