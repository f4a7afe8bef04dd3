-- Lets pending jobs be taken, once their answers have been flushed to the callers. It reads, never writes,
-- BullMQ's list of waiting permits.
--
-- ARGV[1] prefix
-- ARGV[2] max_waiting  permits that may wait at once
-- ARGV[3..] ids        of jobs
-- Returns {permits to add, then as wake() tells}
-- Sent again: the permits are asked for again. One too many finds nothing, and ends.
-- Caller dies: the jobs are ready; the sweeper adds the missing permits.

-- @include groups
-- @include kinds
-- @include wake
-- @include note-webhook
-- @keys job unreleased waiting_permits ready

local ready = 0
for _, id in ipairs(ids) do
  local m, tenant, group, number, rank, state, hook_events, kind =
    unpack(redis.call('HMGET', job_key(id), 'm', 'tenant', 'lane', 'number', 'rank', 'state', 'hook_events',
      'kind'))
  local is_new = redis.call('ZREM', unreleased_key, id) == 1
  if not m then
    -- Deleted meanwhile.
  elseif is_new then
    ready = ready + make_available(tenant, group, m, rank or number, kind_named(kind))
    -- Not when it is accepted: its caller is to know its id before anybody else is told of it.
    note_moment(id, hook_events, 'queued', '"number":' .. number)
  elseif state == 'pending' and redis.call('ZSCORE', of_kind(ready_key(tenant), kind_named(kind)), m) then
    -- Released before: its permit was asked for by a call whose reply was lost, or is one too many.
    if kind then call_workers(kind_named(kind)) else ready = ready + 1 end
  end
end
return { math.max(0, math.min(ready, tonumber(max_waiting) - redis.call('LLEN', waiting_permits_key))), wake() }
