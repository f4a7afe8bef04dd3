-- Asks the workers to stop running jobs: marks each, and says so on the interrupt channel.
--
-- ARGV[1] prefix
-- ARGV[2] call    id of this call: sent again, it is answered as the first time
-- ARGV[3] set     of running jobs, for when none is named
-- ARGV[4..] ids   of jobs; none: all in the set
-- Returns the count
-- Sent again: the same count, kept for a minute; nothing else changes.
-- Caller dies: the marks are on the records; the next attempt of a job reads its own.

-- @include stop-running
-- @include count-once

return count_once(call, function()
  local wanted = #ids > 0 and ids or redis.call('ZRANGE', set, 0, -1)
  local stopped = 0
  for _, id in ipairs(wanted) do stopped = stopped + stop_running(id) end
  return stopped
end)
