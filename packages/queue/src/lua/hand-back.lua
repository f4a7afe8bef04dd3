-- Puts a running job back among the pending, in its old place: its worker is stopping, or its permit is gone. A
-- handed-back run does not count as an attempt; a lost one does.
--
-- ARGV[1] prefix
-- ARGV[2] id      of the job
-- ARGV[3] claim   '' for a job that an earlier version took
-- ARGV[4] counts  1: the run counts as an attempt
-- Returns {1 when a permit must be added, else 0; then as wake() tells}
-- Sent again: as the first time: the record has the answer for as long as nobody takes the job.
-- Caller dies: the sweeper adds the missing permit.

-- @include queue-status
-- @include groups
-- @include pending-bytes
-- @include charge
-- @include wake
-- @keys job permits running pending created group

local state, holder, permit, m, tenant, group, created, number, rank, unlocked, bytes = unpack(redis.call('HMGET',
  job_key(id), 'state', 'claim', 'permit', 'm', 'tenant', 'lane', 'created', 'number', 'rank', 'unlocked',
  'bytes'))
if (holder or '') ~= claim then return { 0 } end
-- Sent again: it is back already, and nobody has taken it since.
if state == 'pending' then return { tonumber(unlocked), wake() } end
if state ~= 'running' then return { 0 } end
number = rank or number

redis.call('HDEL', permits_key, permit)
redis.call('ZREM', running_key, id)
redis.call('ZADD', pending_key, number, m)
take_room(bytes, tenant)
redis.call('ZREM', created_key('running'), m)
redis.call('ZADD', created_key('pending'), created, m)
if counts == '0' then redis.call('HINCRBY', job_key(id), 'attempt', -1) end
-- Runs that come to nothing cost nothing.
local can_start = settle_charge(tenant, id, 0)
local needs_permit
if group == '' then
  needs_permit = make_available(tenant, group, m, number)
else
  -- While it ran nothing of its group was ready: whoever is first there now becomes it.
  redis.call('ZADD', group_key(group), number, m)
  needs_permit = free_group(tenant, group)
end
needs_permit = math.max(needs_permit, can_start)
redis.call('HSET', job_key(id), 'state', 'pending', 'unlocked', needs_permit, 'handed_back', 1)
redis.call('HDEL', job_key(id), 'permit', 'worker', 'cost', 'weight', 'turn')
emit_status()
return { needs_permit, wake() }
