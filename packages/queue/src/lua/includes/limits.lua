-- What a tenant may, now: nil for one without a record, which is neither limited nor charged.

-- @include tenants
-- @keys tenant

local UNLIMITED = { weight = 1, most = math.huge, interval = 0, soft = false }
-- Read once in a script; false for a tenant without a record.
local limits_read = {}
-- Whether any tenant of this script has a record: where none has, nobody is limited.
local has_records = false
local function limits_of(tenant)
  -- It never has a record.
  if tenant == DEFAULT_TENANT then return nil end
  local known = limits_read[tenant]
  if known ~= nil then return known or nil end
  local weight, most, interval, soft, order, preempts, preemptible = unpack(redis.call('HMGET', tenant_key(tenant),
    'weight', 'max_running', 'interval_ms', 'soft', 'order', 'preempts', 'preemptible'))
  limits_read[tenant] = weight and {
    weight = tonumber(weight), most = tonumber(most) or math.huge, interval = tonumber(interval) or 0,
    soft = soft == '1', is_short_first = order == 'short-first',
    preempts = preempts == '1', is_preemptible = preemptible == '1',
  } or false
  if not weight then return nil end
  has_records = true
  return limits_read[tenant]
end
