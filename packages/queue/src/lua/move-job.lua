-- Gives a waiting job another number, or puts it before all that have counted ones, as `front` does. It keeps its
-- arrival: of jobs with one number the one that came first goes first.
--
-- ARGV[1] prefix
-- ARGV[2] call     id of this call: sent again, it is answered as the first time
-- ARGV[3] id       of the job, as Redis has it
-- ARGV[4] number   '' for the front
-- Returns the number it has now; nil when it does not wait
-- Sent again: the same number: the record has the id of the call.

-- @include groups
-- @include offer
-- @include kinds
-- @include priorities
-- @include tenants
-- @keys job pending groups number group ready

local state, m, tenant, lane, old, rank, moved_by, text = unpack(redis.call('HMGET', job_key(id),
  'state', 'm', 'tenant', 'lane', 'number', 'rank', 'moved_by', 'kind'))
if moved_by == call then return old end
if state ~= 'pending' then return nil end
if number == '' then number = string.format('%d', 1 - redis.call('INCR', own(number_key, tenant))) end
local kind = kind_named(text)
local was_ready = redis.call('ZSCORE', of_kind(ready_key(tenant), kind), m)
local new_rank = number
if rank then
  local priority = rank - old < 0 and 'high' or 'low'
  new_rank = rank_of(tonumber(number), priority)
  redis.call('HSET', job_key(id), 'rank', new_rank)
end
redis.call('HSET', job_key(id), 'number', number, 'moved_by', call)
move_in(pending_key, tenant, new_rank, m)
if lane == '' then
  if was_ready then redis.call('ZADD', of_kind(ready_key(tenant), kind), 'XX', new_rank, m) end
elseif redis.call('ZADD', of_kind(group_key(lane), kind), 'XX', 'CH', new_rank, m) == 1 then
  local head = redis.call('ZRANGE', of_kind(group_key(lane), kind), 0, 0, 'WITHSCORES')
  if was_ready then
    -- Who is first of the group now inherits its permit.
    redis.call('ZREM', of_kind(ready_key(tenant), kind), m)
    offer(tenant, head[1], head[2], kind)
  elseif head[1] == m and redis.call('HEXISTS', groups_key, lane) == 0 then
    local former = redis.call('ZRANGE', of_kind(group_key(lane), kind), 1, 1)[1]
    if former then redis.call('ZREM', of_kind(ready_key(tenant), kind), former) end
    offer(tenant, m, new_rank, kind)
  end
end
return number
