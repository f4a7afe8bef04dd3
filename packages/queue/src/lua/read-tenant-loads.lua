-- How many jobs of some tenants wait and run, and what plan each tenant has.
--
-- ARGV[1] prefix
-- ARGV[2..] ids  of tenants
-- Returns pending, running, plan ('' for none) of each, in their order
-- Sent again: it only reads.

-- @include tenants
-- @keys pending running tenant

local loads = {}
for _, id in ipairs(ids) do
  loads[#loads + 1] = count_own(pending_key, id)
  loads[#loads + 1] = count_own(running_key, id)
  loads[#loads + 1] = redis.call('HGET', tenant_key(id), 'plan') or ''
end
return loads
