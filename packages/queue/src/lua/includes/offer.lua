-- What may be taken, and in whose turn.

-- @keys ready tenants vtime

local function offer(tenant, m, number)
  redis.call('ZADD', ready_key(tenant), number, m)
  if not redis.call('ZSCORE', tenants_key, tenant) then
    redis.call('ZADD', tenants_key, redis.call('GET', vtime_key) or '0', tenant)
  end
end
