-- What may be taken, and in whose turn.

-- @include fair-share
-- @include limits
-- @keys ready tenants

-- Returns 1 when a free hand could take a job of this tenant.
local function offer(tenant, m, number)
  redis.call('ZADD', ready_key(tenant), number, m)
  local limits = limits_of(tenant)
  if limits then return settle(tenant, limits) end
  if not redis.call('ZSCORE', tenants_key, tenant) then redis.call('ZADD', tenants_key, virtual_time(), tenant) end
  return 1
end

-- Takes back an offer. Returns 1 when the job was ready.
local function take_back(tenant, m)
  local was_ready = redis.call('ZREM', ready_key(tenant), m)
  if was_ready == 1 and redis.call('EXISTS', ready_key(tenant)) == 0 then leave(tenant) end
  return was_ready
end
