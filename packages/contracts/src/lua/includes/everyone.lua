-- Where all sockets of a job's tenant listen.

-- @include tenants
-- @keys everyone_channel

local function everyone_of(id)
  local tenant = tenant_of(id)
  return tenant == DEFAULT_TENANT and everyone_channel or everyone_channel .. ':' .. tenant
end
