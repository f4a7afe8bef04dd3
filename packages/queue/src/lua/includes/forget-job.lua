-- Removes a record and everything that names it, whatever state it is in but running.

-- @include tenants
-- @keys created duration workflow job events state

local function forget(id, m, state, workflow)
  local tenant = tenant_of(id)
  remove_from(created_key(state), tenant, m)
  remove_from(duration_key(state), tenant, m)
  if workflow and workflow ~= '' then redis.call('ZREM', workflow_key(scoped(tenant, workflow)), m) end
  redis.call('DEL', job_key(id), events_key(id), state_key(id))
end
