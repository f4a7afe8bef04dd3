-- Takes or renews the lease of the dispatcher, lets what is due be taken, and counts what could be taken now.
--
-- ARGV[1] prefix
-- ARGV[2] lease        token of who asks
-- ARGV[3] lease_ms
-- ARGV[4] most         the count ends there
-- ARGV[5] limits_json
-- Returns the count, or -1 when another process has the lease
-- Sent again: as it is then.
-- Caller dies: the lease runs out.

-- @include chains
-- @keys webhook_lease webhook_tenants webhook_receivers webhook_ready

local holder = redis.call('GET', webhook_lease_key)
if holder and holder ~= lease then return -1 end
redis.call('SET', webhook_lease_key, lease, 'PX', lease_ms)
promote_due(cjson.decode(limits_json))
most = tonumber(most)
local takeable = 0
for _, class in ipairs(CLASSES) do
  for _, tenant in ipairs(redis.call('ZRANGE', webhook_tenants_key(class), 0, most - 1)) do
    for _, receiver in ipairs(redis.call('ZRANGE', webhook_receivers_key(join_name(class, tenant)), 0, most - 1)) do
      takeable = takeable + redis.call('LLEN', webhook_ready_key(join_name(tenant, receiver)))
      if takeable >= most then return most end
    end
  end
end
return takeable
