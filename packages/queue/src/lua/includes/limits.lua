-- What a tenant may, now: nil for one without a record, which is neither limited nor charged.

-- @keys tenant

local UNLIMITED = { weight = 1, most = math.huge, interval = 0, soft = false }
local function limits_of(tenant)
  local weight, most, interval, soft, order =
    unpack(redis.call('HMGET', tenant_key(tenant), 'weight', 'max_running', 'interval_ms', 'soft', 'order'))
  if not weight then return nil end
  return {
    weight = tonumber(weight), most = tonumber(most) or math.huge, interval = tonumber(interval) or 0,
    soft = soft == '1', is_short_first = order == 'short-first',
  }
end
