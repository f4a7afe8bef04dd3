-- What a tenant has spent, in millionths: today and this month.

-- @include now
-- @include dates
-- @keys spent

local function day_of_tenant(tenant) return spent_key(date_of(now) .. ':' .. tenant) end
local function month_of_tenant(tenant) return spent_key(month_of(date_of(now)) .. ':' .. tenant) end

local function spent_by(tenant)
  local day, month = unpack(redis.call('MGET', day_of_tenant(tenant), month_of_tenant(tenant)))
  return tonumber(day or 0), tonumber(month or 0)
end
