-- emit_status(tenant) tells every API how many jobs of a tenant are in the queue; called whenever that changes. Returns
-- the number. The message is the number and, for another tenant than the default one, a blank and the tenant.

-- @include tenants
-- @keys pending running status_channel

local function emit_status(tenant)
  local left = count_own(pending_key, tenant) + count_own(running_key, tenant)
  redis.call('PUBLISH', status_channel, tenant == DEFAULT_TENANT and left or left .. ' ' .. tenant)
  return left
end
