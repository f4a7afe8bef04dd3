-- Cancels jobs wherever they are: pending ones go, running ones are interrupted.
--
-- ARGV[1] prefix
-- ARGV[2] call    id of this call: sent again, it is answered as the first time
-- ARGV[3..] ids   of jobs of one tenant
-- Returns the count
-- Sent again: the same count, kept for a minute; nothing else changes.
-- Caller dies: all is done; the next attempt of a job reads the mark on its record.

-- @include tenants
-- @include queue-status
-- @include remove-pending
-- @include stop-running
-- @include count-once

return count_once(call, function()
  local removed, stopped = 0, 0
  for _, id in ipairs(ids) do
    local was_running = stop_running(id)
    stopped = stopped + was_running
    if was_running == 0 then removed = removed + remove_pending(id) end
  end
  if removed > 0 then emit_status(tenant_of(ids[1])) end
  return removed + stopped
end)
