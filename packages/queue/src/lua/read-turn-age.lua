-- How long those tenants have waited for a start whose turn is next: since their last start, or since they came with
-- their oldest job. A tenant at a limit of its own, or one of whose jobs runs, does not wait, however much of it is in
-- the queue.
--
-- ARGV[1] prefix
-- ARGV[2] most    tenants that are looked at, of those that have come and of those that had turns
-- Returns ms
-- Sent again: it only reads.

-- @include now
-- @include tenants
-- @keys comers tenants created running started

local function waits_since(tenant)
  if count_own(running_key, tenant) > 0 then return now end
  local oldest = tonumber(redis.call('ZRANGE', own(created_key('pending'), tenant), 0, 0, 'WITHSCORES')[2]) or now
  return math.max(oldest, tonumber(redis.call('GET', started_key(tenant)) or 0))
end

local since = now
for _, set in ipairs({ comers_key, tenants_key }) do
  for _, tenant in ipairs(redis.call('ZRANGE', set, 0, most - 1)) do since = math.min(since, waits_since(tenant)) end
end
return now - since
