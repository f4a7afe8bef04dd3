-- Removes a record and everything that names it, whatever state it is in but running.

-- @keys created duration workflow job events state

local function forget(id, m, state, workflow)
  redis.call('ZREM', created_key(state), m)
  redis.call('ZREM', duration_key(state), m)
  if workflow and workflow ~= '' then redis.call('ZREM', workflow_key(workflow), m) end
  redis.call('DEL', job_key(id), events_key(id), state_key(id))
end
