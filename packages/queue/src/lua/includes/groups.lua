-- Waiting jobs of one client: only the first of each kind is ready, and none while one of the group runs.

-- @include offer
-- @include kinds
-- @keys groups group ready

-- Makes a waiting job takeable as far as its group allows. Returns 1 when it needs a permit of its own.
local function make_available(tenant, group, m, number, kind)
  if group == '' then return offer(tenant, m, number, kind) end
  redis.call('ZADD', of_kind(group_key(group), kind), number, m)
  if redis.call('HEXISTS', groups_key, group) == 1 then return 0 end
  local heads = redis.call('ZRANGE', of_kind(group_key(group), kind), 0, 1)
  if heads[1] ~= m then return 0 end
  if heads[2] then
    -- The former head was ready; this job goes first and uses its permit.
    redis.call('ZREM', of_kind(ready_key(tenant), kind), heads[2])
    offer(tenant, m, number, kind)
    return 0
  end
  return offer(tenant, m, number, kind)
end

-- Takes a waiting job out of the scheduling sets; the next of its group inherits its permit.
local function withdraw(tenant, group, m, kind)
  local was_ready = take_back(tenant, m, kind)
  if group == '' then return end
  redis.call('ZREM', of_kind(group_key(group), kind), m)
  if was_ready == 1 then
    local head = redis.call('ZRANGE', of_kind(group_key(group), kind), 0, 0, 'WITHSCORES')
    if head[1] then offer(tenant, head[1], head[2], kind) end
  end
end

-- A job of a group runs from now on: no other of it is ready.
local function occupy_group(tenant, group, m, kind, id)
  if group == '' then return end
  redis.call('ZREM', of_kind(group_key(group), kind), m)
  redis.call('HSET', groups_key, group, id)
  if #EVERY_KIND == 1 then return end
  for _, other in ipairs(EVERY_KIND) do
    local head = redis.call('ZRANGE', of_kind(group_key(group), other), 0, 0)[1]
    if head then redis.call('ZREM', of_kind(ready_key(tenant), other), head) end
  end
end

-- Ends a group's run. Returns 1 when its next job became ready and needs a permit.
local function free_group(tenant, group)
  if group == '' then return 0 end
  redis.call('HDEL', groups_key, group)
  local needs_permit = 0
  for _, kind in ipairs(EVERY_KIND) do
    local head = redis.call('ZRANGE', of_kind(group_key(group), kind), 0, 0, 'WITHSCORES')
    if head[1] then needs_permit = math.max(needs_permit, offer(tenant, head[1], head[2], kind)) end
  end
  return needs_permit
end
