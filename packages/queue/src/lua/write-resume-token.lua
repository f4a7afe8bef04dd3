-- Writes on the record where the work is done, so that the next attempt can go on with it.
--
-- ARGV[1] prefix
-- ARGV[2] id      of the job
-- ARGV[3] claim
-- ARGV[4] resume_token
-- Returns 1, or 0 when the claim is void
-- Sent again: it writes the same again.
-- Caller dies: the next attempt finds the token.

-- @include claim
-- @keys job

if not is_held(id, claim) then return 0 end
redis.call('HSET', job_key(id), 'note', resume_token)
return 1
