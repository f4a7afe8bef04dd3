-- Removes one pending job without a trace. Returns 1, or 0 when it does not wait.

-- @include queue-status
-- @include groups
-- @include forget-job
-- @include pending-bytes
-- @include note-webhook
-- @keys job pending unreleased job_channel

local function remove_pending(id)
  local state, m, tenant, group, workflow, bytes =
    unpack(redis.call('HMGET', job_key(id), 'state', 'm', 'tenant', 'lane', 'workflow', 'bytes'))
  if state ~= 'pending' then return 0 end
  redis.call('ZREM', pending_key, m)
  give_room_back(bytes, tenant)
  redis.call('ZREM', unreleased_key, id)
  note_moment(id, 'interrupted', '"node_id":null,"node_type":null,"executed":[]')
  withdraw(tenant, group, m)
  forget(id, m, 'pending', workflow)
  -- An end without a frame, for whoever follows the job: it leaves no trace in history.
  redis.call('PUBLISH', job_channel(id), 'T ' .. cjson.encode(id))
  return 1
end
