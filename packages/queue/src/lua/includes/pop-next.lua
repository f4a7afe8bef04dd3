-- Which of a tenant's ready jobs is next: the first by number and arrival; for a plan that lets short ones ahead, the
-- cheapest of the first ones.

-- @include members
-- @include charge
-- @include priorities
-- @keys ready share job

-- The first job is passed so often at most, and by jobs this near only.
local MOST_PASSED = 16

local function pop_next(tenant, limits)
  if not limits or not limits.is_short_first then return redis.call('ZPOPMIN', ready_key(tenant))[1] end
  local near = redis.call('ZRANGE', ready_key(tenant), 0, MOST_PASSED - 1, 'WITHSCORES')
  local first, rank = near[1], tonumber(near[2])
  if not first then return nil end
  local best, least = first, math.huge
  local who, times = unpack(redis.call('HMGET', share_key(tenant), 'passed', 'passed_times'))
  if who ~= first then times = 0 end
  -- What was put to the front stays there.
  if tonumber(times) < MOST_PASSED and number_of(rank) >= 0 then
    for i = 1, #near, 2 do
      if near[i + 1] - rank < PRIORITY_STEP / 2 then
        local cost = expected_cost(unpack(redis.call('HMGET', job_key(id_of(near[i])), 'signature', 'estimate_ms')))
        if cost < least then best, least = near[i], cost end
      end
    end
  end
  redis.call('ZREM', ready_key(tenant), best)
  if best ~= first then redis.call('HSET', share_key(tenant), 'passed', first, 'passed_times', times + 1) end
  return best
end
