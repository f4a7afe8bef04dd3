-- The log of deliveries, and what leaves it.
--
-- limits: { log_items, log_bytes, total_items, total_bytes, log_ms }

-- @include now
-- @include webhook-sizes
-- @keys webhook_delivery webhook_log webhook_settled webhook_dead webhook_all_settled

-- So many are dropped at once, so that no script holds Redis for long.
local MAX_TRIMMED = 200

-- Puts a delivery among the settled or, when it was given up, among the dead letters.
local function list_settled(tenant, id, is_dead)
  redis.call('ZADD', is_dead and webhook_dead_key(tenant) or webhook_settled_key(tenant), now, id)
  redis.call('ZADD', webhook_all_settled_key, now, tenant .. '\31' .. id)
  if is_dead then count_size('dead', tenant, 1) end
end

local function unlist_settled(tenant, id)
  if redis.call('ZREM', webhook_dead_key(tenant), id) == 1 then count_size('dead', tenant, -1) end
  redis.call('ZREM', webhook_settled_key(tenant), id)
  redis.call('ZREM', webhook_all_settled_key, tenant .. '\31' .. id)
end

local function forget_delivery(tenant, id)
  unlist_settled(tenant, id)
  redis.call('ZREM', webhook_log_key(tenant), id)
  local bytes = redis.call('HGET', webhook_delivery_key(id), 'bytes')
  if bytes then count_size('bytes', tenant, -bytes) end
  redis.call('DEL', webhook_delivery_key(id))
end

local function oldest_of(key) return redis.call('ZRANGE', key, 0, 0)[1] end

local function trim_tenant(tenant, limits, room)
  local settled, dead = webhook_settled_key(tenant), webhook_dead_key(tenant)
  for _ = 1, MAX_TRIMMED do
    local id
    if redis.call('ZCARD', settled) > limits.log_items then id = oldest_of(settled)
    elseif redis.call('ZCARD', dead) > limits.log_items then id = oldest_of(dead)
    elseif size_of('bytes ' .. tenant) + room > limits.log_bytes then id = oldest_of(settled) or oldest_of(dead) end
    if not id then return end
    forget_delivery(tenant, id)
  end
end

local function trim_all(limits, room)
  for _ = 1, MAX_TRIMMED do
    local member, at = unpack(redis.call('ZRANGE', webhook_all_settled_key, 0, 0, 'WITHSCORES'))
    if not member then return end
    local is_over = redis.call('ZCARD', webhook_all_settled_key) > limits.total_items or
      size_of('bytes') + room > limits.total_bytes or tonumber(at) < now - limits.log_ms
    if not is_over then return end
    forget_delivery(string.match(member, '^([^\31]*)\31(.*)$'))
  end
end

-- Drops what is over the limits with `room` bytes more.
local function trim_log(tenant, limits, room)
  trim_tenant(tenant, limits, room)
  trim_all(limits, room)
end
