-- Who is next: a start-time fair queue over tenants, by what their jobs cost (docs/adr/0021). Amounts are milliseconds
-- of run time divided by the tenant's weight.
--
-- A tenant with something ready stands in exactly one of: `comers` (by when it came: no turn yet, and no debt),
-- `tenants` (by its tag: the least is next), and `held` (by when its limit lifts; +inf: when one of its jobs ends).
-- A held tenant with soft limits stands in `spare` too, by its tag. One without anything to do stands in `debts`
-- while its tag is ahead of the virtual time.

-- @include now
-- @include limits
-- @include tenants
-- @keys ready running tenants comers vtime share held spare debts started

-- The mean of the tags, or the least one if that is less: where a tenant stands that comes now.
local function virtual_time()
  local v = tonumber(redis.call('GET', vtime_key) or 0)
  local least = redis.call('ZRANGE', tenants_key, 0, 0, 'WITHSCORES')[2]
  return least and math.min(v, tonumber(least)) or v
end

local function read_share(tenant)
  local old, floor, new, turn = unpack(redis.call('HMGET', share_key(tenant), 'old', 'floor', 'new', 'turn'))
  return old and { old = tonumber(old), floor = tonumber(floor), new = tonumber(new), turn = tonumber(turn) } or nil
end

local function write_share(tenant, s)
  redis.call('HSET', share_key(tenant), 'old', s.old, 'floor', s.floor, 'new', s.new, 'turn', s.turn)
end

local function tag_of(s) return math.max(s.old, s.floor) + s.new end
local function is_free(tenant)
  return redis.call('ZSCORE', tenants_key, tenant) or redis.call('ZSCORE', comers_key, tenant)
end

-- Takes part in the turns: who owes nothing before all that have had theirs, in the order of coming.
local function enter(tenant)
  local s = read_share(tenant)
  local floor = virtual_time()
  s = { old = s and tag_of(s) or floor, floor = floor, new = 0, turn = s and s.turn + 1 or 1 }
  write_share(tenant, s)
  redis.call('ZREM', debts_key, tenant)
  if s.old > floor then redis.call('ZADD', tenants_key, s.old, tenant)
  else redis.call('ZADD', comers_key, now_us, tenant) end
end

local function step_aside(tenant)
  redis.call('ZREM', tenants_key, tenant)
  redis.call('ZREM', comers_key, tenant)
end

-- When the limits let the tenant start a job: 0 at once, else epoch ms; math.huge when one has to end first.
local function held_until(tenant, limits)
  if count_own(running_key, tenant) >= limits.most then return math.huge end
  if limits.interval == 0 then return 0 end
  local last = tonumber(redis.call('GET', started_key(tenant)) or 0)
  return last + limits.interval > now and last + limits.interval or 0
end

-- Nothing waits: the account stays while a job runs, or while the tenant owes.
local function leave(tenant)
  step_aside(tenant)
  redis.call('ZREM', held_key, tenant)
  redis.call('ZREM', spare_key, tenant)
  if count_own(running_key, tenant) > 0 then return end
  local s = read_share(tenant)
  if not s then return end
  if tag_of(s) > virtual_time() then redis.call('ZADD', debts_key, tag_of(s), tenant)
  else redis.call('DEL', share_key(tenant)) end
end

-- Puts a tenant where it belongs, by the facts. Returns 1 when a free hand could take a job of it, else 0.
local function settle(tenant, limits)
  if redis.call('EXISTS', ready_key(tenant)) == 0 then
    leave(tenant)
    return 0
  end
  local free_at = held_until(tenant, limits)
  if free_at == 0 then
    redis.call('ZREM', held_key, tenant)
    redis.call('ZREM', spare_key, tenant)
    if not is_free(tenant) then enter(tenant) end
    return 1
  end
  step_aside(tenant)
  redis.call('ZADD', held_key, free_at == math.huge and '+inf' or free_at, tenant)
  if not limits.soft then
    redis.call('ZREM', spare_key, tenant)
    return 0
  end
  local s = read_share(tenant)
  redis.call('ZADD', spare_key, s and tag_of(s) or virtual_time(), tenant)
  return 1
end

local was_holding = redis.call('EXISTS', held_key) == 1
-- Lets out the tenants whose time has come: a few at a time, as long as nobody else is ready.
local function let_out()
  repeat
    local due = redis.call('ZRANGE', held_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, 16)
    for _, tenant in ipairs(due) do settle(tenant, limits_of(tenant) or UNLIMITED) end
  until #due == 0 or redis.call('EXISTS', tenants_key, comers_key) > 0
end
