-- The record of a tenant: what it may, as its plan and the overrides say. The text that it was written from stands in
-- `limits`: an equal one changes nothing.

-- Tenants whose jobs may take the place of others are a set of their own.

-- @keys tenant preempting

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
  local change = redis.call('HEXISTS', key, 'preempts') == 1 and 'SADD' or 'SREM'
  redis.call(change, preempting_key, tenant)
  return 1
end
