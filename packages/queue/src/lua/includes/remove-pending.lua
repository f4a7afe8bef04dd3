-- Removes one pending job without a trace. Returns 1, or 0 when it does not wait.

-- @include tenants
-- @include groups
-- @include kinds
-- @include forget-job
-- @include pending-bytes
-- @include note-webhook
-- @keys job pending unreleased job_channel

local function remove_pending(id)
  local state, m, tenant, group, workflow, bytes, hook_events, kind =
    unpack(redis.call('HMGET', job_key(id), 'state', 'm', 'tenant', 'lane', 'workflow', 'bytes',
      'hook_events', 'kind'))
  if state ~= 'pending' then return 0 end
  remove_from(pending_key, tenant, m)
  give_room_back(bytes)
  redis.call('ZREM', unreleased_key, id)
  note_moment(id, hook_events, 'interrupted', '"node_id":null,"node_type":null,"executed":[]')
  withdraw(tenant, group, m, quit_kind(m, kind))
  forget(id, m, 'pending', workflow)
  -- An end without a frame, for whoever follows the job: it leaves no trace in history.
  redis.call('PUBLISH', job_channel(id), 'T ' .. cjson.encode(id))
  return 1
end
