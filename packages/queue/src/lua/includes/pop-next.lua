-- Which of a tenant's ready jobs is next: the first by number and arrival; for a plan that lets short ones ahead, the
-- cheapest of the first ones.

-- @include members
-- @include charge
-- @include priorities
-- @include kinds
-- @keys share job ready

local pop_next
do
  -- The first job is passed so often at most, and by jobs this near only.
  local MOST_PASSED = 16

  -- The first ready jobs of some kinds, as one list: {member, score, kind}.
  local function first_ready(tenant, visible, count)
    local found = {}
    for _, kind in ipairs(visible) do
      local members = redis.call('ZRANGE', of_kind(ready_key(tenant), kind), 0, count - 1, 'WITHSCORES')
      for i = 1, #members, 2 do found[#found + 1] = { members[i], tonumber(members[i + 1]), kind } end
    end
    if #visible > 1 then
      table.sort(found, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
    end
    return found
  end

  -- Returns the job's member and its kind; nil when there is none.
  function pop_next(tenant, limits, visible)
    local is_short_first = limits and limits.is_short_first
    if not is_short_first and #visible == 1 then
      return redis.call('ZPOPMIN', of_kind(ready_key(tenant), visible[1]))[1], visible[1]
    end
    local near = first_ready(tenant, visible, is_short_first and MOST_PASSED or 1)
    local first, rank, kind = unpack(near[1] or {})
    if not first then return nil end
    if not is_short_first then
      redis.call('ZREM', of_kind(ready_key(tenant), kind), first)
      return first, kind
    end
    local best, least = first, math.huge
    local who, times = unpack(redis.call('HMGET', share_key(tenant), 'passed', 'passed_times'))
    if who ~= first then times = 0 end
    -- What was put to the front stays there.
    if tonumber(times) < MOST_PASSED and number_of(rank) >= 0 then
      for i = 1, math.min(#near, MOST_PASSED) do
        local m, score, of = unpack(near[i])
        if score - rank < PRIORITY_STEP / 2 then
          local cost = expected_cost(unpack(redis.call('HMGET', job_key(id_of(m)), 'signature', 'estimate_ms')))
          if cost < least then best, least, kind = m, cost, of end
        end
      end
    end
    redis.call('ZREM', of_kind(ready_key(tenant), kind), best)
    if best ~= first then redis.call('HSET', share_key(tenant), 'passed', first, 'passed_times', times + 1) end
    return best, kind
  end
end
