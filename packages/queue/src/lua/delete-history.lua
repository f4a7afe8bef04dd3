-- Removes ended jobs from history by id.
--
-- ARGV[1] prefix
-- ARGV[2] call    id of this call: sent again, it is answered as the first time
-- ARGV[3..] ids   of jobs
-- Returns the count
-- Sent again: the same count, kept for a minute; nothing else changes.

-- @include forget-job
-- @include count-once
-- @keys job history

return count_once(call, function()
  local removed = 0
  for _, id in ipairs(ids) do
    local state, m, workflow = unpack(redis.call('HMGET', job_key(id), 'state', 'm', 'workflow'))
    if m and redis.call('ZREM', history_key, m) == 1 then
      forget(id, m, state, workflow)
      removed = removed + 1
    end
  end
  return removed
end)
