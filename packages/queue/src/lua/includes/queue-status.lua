-- emit_status() tells every API how many jobs are in the queue; called whenever that changes. Returns the number.

-- @keys pending running status_channel

local function emit_status()
  local left = redis.call('ZCARD', pending_key) + redis.call('ZCARD', running_key)
  redis.call('PUBLISH', status_channel, left)
  return left
end
