-- Waiting jobs of one client: only the head of a group is ready, and none while one of the group runs.

-- @include offer
-- @keys group groups ready

-- Makes a waiting job takeable as far as its group allows. Returns 1 when it needs a permit of its own.
local function make_available(tenant, group, m, number)
  if group == '' then return offer(tenant, m, number) end
  redis.call('ZADD', group_key(group), number, m)
  if redis.call('HEXISTS', groups_key, group) == 1 then return 0 end
  local heads = redis.call('ZRANGE', group_key(group), 0, 1)
  if heads[1] ~= m then return 0 end
  if heads[2] then
    -- The former head was ready; this job goes first and uses its permit.
    redis.call('ZREM', ready_key(tenant), heads[2])
    offer(tenant, m, number)
    return 0
  end
  return offer(tenant, m, number)
end

-- Takes a waiting job out of the scheduling sets; the next of its group inherits its permit.
local function withdraw(tenant, group, m)
  local was_ready = take_back(tenant, m)
  if group == '' then return end
  redis.call('ZREM', group_key(group), m)
  if was_ready == 1 then
    local head = redis.call('ZRANGE', group_key(group), 0, 0, 'WITHSCORES')
    if head[1] then offer(tenant, head[1], head[2]) end
  end
end

-- Ends a group's run. Returns 1 when its next job became ready and needs a permit.
local function free_group(tenant, group)
  if group == '' then return 0 end
  redis.call('HDEL', groups_key, group)
  local head = redis.call('ZRANGE', group_key(group), 0, 0, 'WITHSCORES')
  if not head[1] then return 0 end
  return offer(tenant, head[1], head[2])
end
