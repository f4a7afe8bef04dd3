-- What is known of a job's cost: known_cost(id) returns what jobs of its signature have run for and its own estimate,
-- '' for neither, when it was taken last, and its concurrency group.

-- @keys job costs

local function known_cost(id)
  local signature, estimate, taken, lane =
    unpack(redis.call('HMGET', job_key(id), 'signature', 'estimate_ms', 'taken', 'lane'))
  local known = signature and redis.call('HGET', costs_key, signature)
  return known or '', estimate or '', taken or '', lane or ''
end
