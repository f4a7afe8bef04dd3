-- The set of ended jobs, and how many each tenant but the default one has there.

-- @include tenants
-- @keys history history_sizes

local function count_in_history(tenant, by)
  if tenant == DEFAULT_TENANT then return end
  if tonumber(redis.call('ZINCRBY', history_sizes_key, by, tenant)) <= 0 then
    redis.call('ZREM', history_sizes_key, tenant)
  end
end
local function add_to_history(tenant, at, m)
  add_to(history_key, tenant, at, m)
  count_in_history(tenant, 1)
end
-- Returns 1, or 0 when it was not there.
local function remove_from_history(tenant, m)
  local removed = remove_from(history_key, tenant, m)
  if removed == 1 then count_in_history(tenant, -1) end
  return removed
end
