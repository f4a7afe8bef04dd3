-- The record of a tenant: what it may, as its plan and the overrides say. The text that it was written from stands in
-- `limits`: an equal one changes nothing.

-- @keys tenant

-- Records of tenants that nobody uses are dropped after this.
local RECORD_KEPT_MS = 2592000000

local function put_limits(tenant, text)
  local key = tenant_key(tenant)
  redis.call('PEXPIRE', key, RECORD_KEPT_MS)
  if redis.call('HGET', key, 'limits') == text then return 0 end
  redis.call('DEL', key)
  redis.call('HSET', key, 'limits', text)
  for name, value in pairs(cjson.decode(text)) do redis.call('HSET', key, name, value) end
  redis.call('PEXPIRE', key, RECORD_KEPT_MS)
  return 1
end
