-- Reserves what the run of a job has cost so far and is to cost, if its tenant may still spend that; or tells what the
-- tenant has spent and reserved. The reservation counts for as long as the claim is valid and the job runs.
--
-- ARGV[1] prefix
-- ARGV[2] id            of the job
-- ARGV[3] claim
-- ARGV[4] amount        of the whole run, in millionths; '' only looks
-- ARGV[5] day_budget    in millionths; '' for none
-- ARGV[6] month_budget  likewise
-- ARGV[7] is_forced     1: whatever the budget, for what is under way already
-- Returns {0} when the claim is void | {1 when it is reserved, else 2, spent today, this month, reserved by other jobs}
-- Sent again: it reserves the same again.
-- Caller dies: the reservation is void with the claim.

-- @include claim
-- @include tenants
-- @include spent
-- @keys job running

if not is_held(id, claim) then return { 0 } end
local tenant = tenant_of(id)
local others = 0
for _, other in ipairs(redis.call('ZRANGE', own(running_key, tenant), 0, -1)) do
  local holder, reserved = unpack(redis.call('HMGET', job_key(other), 'claim', 'reserved'))
  local by, micros = string.match(reserved or '', '^(%S+) (%d+)$')
  if other ~= id and by == holder then others = others + (tonumber(micros) or 0) end
end
local day, month = spent_by(tenant)
local function fits(spent, budget) return spent + others + amount <= (tonumber(budget) or math.huge) end
local is_reserved = amount ~= '' and (is_forced == '1' or fits(day, day_budget) and fits(month, month_budget))
if is_reserved then redis.call('HSET', job_key(id), 'reserved', claim .. ' ' .. amount) end
return { is_reserved and 1 or 2, string.format('%.0f', day), string.format('%.0f', month), string.format('%.0f', others) }
