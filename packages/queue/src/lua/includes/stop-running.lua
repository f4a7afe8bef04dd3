-- Asks the worker of a running job to stop it: a mark on the record, and a message on the
-- interrupt channel. Returns 1, or 0.

-- @keys job interrupt_channel

local function stop_running(id)
  if redis.call('HGET', job_key(id), 'state') ~= 'running' then return 0 end
  redis.call('HSET', job_key(id), 'cancel', 1)
  redis.call('PUBLISH', interrupt_channel, id)
  return 1
end
