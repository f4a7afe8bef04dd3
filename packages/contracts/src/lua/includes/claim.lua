-- Whether a claim is valid: the job runs, and nobody has taken it after the claim was made.

-- @keys job

local function is_held(id, claim)
  local state, holder = unpack(redis.call('HMGET', job_key(id), 'state', 'claim'))
  return state == 'running' and holder == claim
end
