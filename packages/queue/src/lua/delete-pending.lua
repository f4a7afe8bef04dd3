-- Removes pending jobs by id.
--
-- ARGV[1] prefix
-- ARGV[2] call    id of this call: sent again, it is answered as the first time
-- ARGV[3..] ids   of jobs of one tenant
-- Returns the count
-- Sent again: the same count, kept for a minute; nothing else changes.

-- @include tenants
-- @include queue-status
-- @include remove-pending
-- @include count-once

return count_once(call, function()
  local removed = 0
  for _, id in ipairs(ids) do removed = removed + remove_pending(id) end
  if removed > 0 then emit_status(tenant_of(ids[1])) end
  return removed
end)
