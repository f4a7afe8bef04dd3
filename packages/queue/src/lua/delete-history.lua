-- Removes ended jobs from history by id.
--
-- ARGV[1] prefix
-- ARGV[2] call    id of this call: sent again, it is answered as the first time
-- ARGV[3..] ids   of jobs
-- Returns the count
-- Sent again: the same count, kept for a minute; nothing else changes.

-- @include tenants
-- @include forget-job
-- @include history
-- @include count-once
-- @keys job

return count_once(call, function()
  local removed = 0
  for _, id in ipairs(ids) do
    local state, m, workflow = unpack(redis.call('HMGET', job_key(id), 'state', 'm', 'workflow'))
    if m and remove_from_history(tenant_of(id), m) == 1 then
      forget(id, m, state, workflow)
      removed = removed + 1
    end
  end
  return removed
end)
