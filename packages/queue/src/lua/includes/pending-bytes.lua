-- The bytes that callers sent with all pending jobs, and how many jobs of each tenant wait: both have limits. A record of an earlier version has no
-- `bytes`; with the last pending job everything is given back, however it was counted.

-- @keys pending_bytes pending pending_of

-- `default` has no plan, so its jobs are not counted.
local function count_pending(tenant, change)
  if not tenant or tenant == 'default' then return end
  if redis.call('HINCRBY', pending_of_key, tenant, change) <= 0 then redis.call('HDEL', pending_of_key, tenant) end
end

local function take_room(bytes, tenant)
  count_pending(tenant, 1)
  redis.call('INCRBY', pending_bytes_key, bytes or 0)
end

local function give_room_back(bytes, tenant)
  count_pending(tenant, -1)
  if redis.call('ZCARD', pending_key) == 0 then redis.call('DEL', pending_bytes_key)
  else redis.call('DECRBY', pending_bytes_key, bytes or 0) end
end
