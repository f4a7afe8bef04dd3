-- For the sweeper: lets out tenants whose limits have lifted without anybody noticing, calls the workers that can run
-- what is not for all of them, and counts the other ready jobs that a free hand could take, as far as permits may wait
-- for them.
--
-- ARGV[1] prefix
-- ARGV[2] most    the count goes no farther
-- Returns the count
-- Sent again: the same count.

-- @include fair-share
-- @include limits
-- @include kinds
-- @keys held tenants comers spare ready

-- Tenants at a limit of running jobs that one sweep looks at.
local BATCH = 200

let_out(EVERY_KIND)
-- In the order of their names: whoever is let out leaves the set.
for _, tenant in ipairs(redis.call('ZRANGE', held_key, '+inf', '+inf', 'BYSCORE', 'LIMIT', 0, BATCH)) do
  local limits = limits_of(tenant) or UNLIMITED
  if held_until(tenant, limits) ~= math.huge then settle(tenant, limits) end
end
-- Whoever was called before may not have heard it.
for _, kind in ipairs(EVERY_KIND) do
  local sets = { of_kind(comers_key, kind), of_kind(tenants_key, kind), of_kind(spare_key, kind) }
  if kind ~= '' and redis.call('EXISTS', unpack(sets)) > 0 then call_workers(kind) end
end
local count = 0
for _, set in ipairs({ comers_key, tenants_key, spare_key }) do
  for _, tenant in ipairs(redis.call('ZRANGE', set, 0, most - 1)) do
    count = count + redis.call('ZCARD', of_kind(ready_key(tenant), ''))
    if count >= tonumber(most) then return tonumber(most) end
  end
end
return count
