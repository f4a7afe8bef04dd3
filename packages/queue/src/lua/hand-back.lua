-- Puts a running job back among the pending, in its old place: its worker is stopping, its permit is gone, a worker
-- cannot run it, or it makes room for a job of another tenant, which is next then. A handed-back run does not count as an
-- attempt; a lost one does.
--
-- ARGV[1] prefix
-- ARGV[2] id         of the job
-- ARGV[3] claim      '' for a job that an earlier version took
-- ARGV[4] counts     1: the run counts as an attempt
-- ARGV[5] declined   profile of the worker that cannot run it; '' when it can
-- ARGV[6] kind       which workers it is for then
-- ARGV[7] preempted  1: it was stopped to make room
-- Returns {1 when a permit must be added, else 0; then as wake() tells}
-- Sent again: as the first time: the record has the answer for as long as nobody takes the job.
-- Caller dies: the sweeper adds the missing permit.

-- @include now
-- @include tenants
-- @include queue-status
-- @include groups
-- @include kinds
-- @include pending-bytes
-- @include charge
-- @include urgent
-- @include wake
-- @keys job permits running pending created group unjudged

local state, holder, permit, m, tenant, group, created, number, rank, unlocked, bytes, text, declined_by, cancel,
  taken, preempted_by =
  unpack(redis.call('HMGET', job_key(id), 'state', 'claim', 'permit', 'm', 'tenant', 'lane', 'created', 'number',
    'rank', 'unlocked', 'bytes', 'kind', 'declined', 'cancel', 'taken', 'preempted_by'))
if (holder or '') ~= claim then return { 0 } end
-- Sent again: it is back already, and nobody has taken it since.
if state == 'pending' then return { tonumber(unlocked), wake() } end
if state ~= 'running' then return { 0 } end
number = rank or number
if declined ~= '' then
  text = kind
  redis.call('HSET', job_key(id), 'kind', text, 'declined', (declined_by or ';') .. declined .. ';')
end
-- To end an interrupted job any worker will do.
if text and cancel == '1' then
  text = ''
  redis.call('HDEL', job_key(id), 'kind')
end
if preempted_by then redis.call('HDEL', job_key(id), 'preempted_by') end
if preempted_by and preempted == '1' then
  -- What it had begun is stopped; the time is lost.
  redis.call('HINCRBY', job_key(id), 'lost_ms', string.format('%.0f', now - taken))
  redis.call('HDEL', job_key(id), 'note')
  make_urgent(preempted_by)
end

redis.call('HDEL', permits_key, permit)
remove_from(running_key, tenant, id)
add_to(pending_key, tenant, number, m)
take_room(bytes)
remove_from(created_key('running'), tenant, m)
add_to(created_key('pending'), tenant, created, m)
if counts == '0' then redis.call('HINCRBY', job_key(id), 'attempt', -1) end
local job_kind = join_kind(m, text)
-- Nobody has judged it while it ran.
if job_kind ~= '' then redis.call('SADD', unjudged_key, id) end
-- Runs that come to nothing cost nothing.
local can_start = settle_charge(tenant, id, 0)
local needs_permit
if group == '' then
  needs_permit = make_available(tenant, group, m, number, job_kind)
else
  -- While it ran nothing of its group was ready: whoever is first there now becomes it.
  redis.call('ZADD', of_kind(group_key(group), job_kind), number, m)
  needs_permit = free_group(tenant, group)
end
needs_permit = math.max(needs_permit, can_start)
redis.call('HSET', job_key(id), 'state', 'pending', 'unlocked', needs_permit, 'handed_back', 1)
redis.call('HDEL', job_key(id), 'permit', 'worker', 'cost', 'weight', 'turn')
emit_status(tenant)
return { needs_permit, wake() }
