-- Counts and bytes of deliveries, of each tenant and of all; a field that is 0 is none.

-- @keys webhook_sizes

local function count_size(what, tenant, by)
  for _, field in ipairs({ what, what .. ' ' .. tenant }) do
    if redis.call('HINCRBY', webhook_sizes_key, field, by) <= 0 then redis.call('HDEL', webhook_sizes_key, field) end
  end
end

local function size_of(field) return tonumber(redis.call('HGET', webhook_sizes_key, field) or 0) end
