-- Removes pending jobs that arrived up to a moment, a batch at a time. The walk goes by number and member: by
-- rank it would miss a job whenever one before it is taken meanwhile.
--
-- ARGV[1] prefix
-- ARGV[2] set           of pending jobs of one tenant
-- ARGV[3] last_arrival  later ones stay
-- ARGV[4] batch         jobs to look at
-- ARGV[5] number        of the last job that was looked at, or -inf
-- ARGV[6] member        of the same
-- Returns {number, member} of the last job that was looked at; {} when there are no more
-- Sent again: what was removed is gone, so it looks at further jobs behind the same place.
-- Caller dies: what was removed is gone, the rest stays.

-- @include tenants
-- @include members
-- @include queue-status
-- @include remove-pending

local limit = tonumber(batch)
local found, from = {}, 0
repeat
  -- Jobs of the last number that were looked at and stayed come first again.
  local page = redis.call('ZRANGE', set, number, '+inf', 'BYSCORE', 'LIMIT', from, limit, 'WITHSCORES')
  for i = 1, #page, 2 do
    if #found < limit and (page[i + 1] ~= number or page[i] > member) then
      found[#found + 1] = { page[i], page[i + 1] }
    end
  end
  from = from + limit
until #found == limit or #page < 2 * limit

local removed, tenant = 0, nil
for _, job in ipairs(found) do
  local m = job[1]
  if arrival_of(m) <= tonumber(last_arrival) then
    tenant = tenant_of(id_of(m))
    removed = removed + remove_pending(id_of(m))
  end
end
if removed > 0 then emit_status(tenant) end
-- What comes behind the end of the list from now on has arrived too late to be removed.
if #found < limit then return {} end
return { found[#found][2], found[#found][1] }
