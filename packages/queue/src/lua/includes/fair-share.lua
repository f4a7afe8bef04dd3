-- Who is next: a start-time fair queue over tenants, by what their jobs cost (docs/adr/0021). Amounts are milliseconds
-- of run time divided by the tenant's weight.
--
-- A tenant with something ready stands in exactly one of: `comers` (by when it came: no turn yet, and no debt),
-- `tenants` (by its tag: the least is next), and `held` (by when its limit lifts; +inf: when one of its jobs ends).
-- A held tenant with soft limits stands in `spare` too, by its tag. One without anything to do stands in `debts`
-- while its tag is ahead of the virtual time. There are `comers`, `tenants` and `spare` for each kind of job: a tenant
-- stands in those of the kinds that it has ready, with the same score; in `elsewhere` too when '' is none of them.

-- @include now
-- @include kinds
-- @include limits
-- @include tenants
-- @keys kinds running tenants comers vtime share held spare debts elsewhere started ready urgent

-- Limits that are reached, workers that differ, and jobs that others made room for: most systems have none of them, and
-- ask no more than this.
local is_simple = redis.call('EXISTS', held_key, kinds_key, urgent_key) == 0
local was_holding = not is_simple and redis.call('EXISTS', held_key) == 1
if not is_simple then load_kinds() end

-- The mean of the tags, or the least one if that is less: where a tenant stands that comes now.
local function virtual_time()
  local v = tonumber(redis.call('GET', vtime_key) or 0)
  for _, kind in ipairs(EVERY_KIND) do
    local least = redis.call('ZRANGE', of_kind(tenants_key, kind), 0, 0, 'WITHSCORES')[2]
    if least then v = math.min(v, tonumber(least)) end
  end
  return v
end

local function read_share(tenant)
  local old, floor, new, turn = unpack(redis.call('HMGET', share_key(tenant), 'old', 'floor', 'new', 'turn'))
  return old and { old = tonumber(old), floor = tonumber(floor), new = tonumber(new), turn = tonumber(turn) } or nil
end

local function write_share(tenant, s)
  redis.call('HSET', share_key(tenant), 'old', s.old, 'floor', s.floor, 'new', s.new, 'turn', s.turn)
end

local function tag_of(s) return math.max(s.old, s.floor) + s.new end

-- The score of a tenant that may start jobs, and whether it is that of a comer; nil for one that may not.
local function standing(tenant)
  for _, kind in ipairs(EVERY_KIND) do
    local tag = redis.call('ZSCORE', of_kind(tenants_key, kind), tenant)
    if tag then return tag, false end
    local came = redis.call('ZSCORE', of_kind(comers_key, kind), tenant)
    if came then return came, true end
  end
end

local function has_ready(tenant, kind) return redis.call('EXISTS', of_kind(ready_key(tenant), kind)) == 1 end

local function has_any_ready(tenant)
  for _, kind in ipairs(EVERY_KIND) do
    if has_ready(tenant, kind) then return true end
  end
  return false
end

-- Tenants that may start something, whatever kinds they have.
local function count_free()
  local others = #EVERY_KIND > 1 and redis.call('SCARD', elsewhere_key) or 0
  return redis.call('ZCARD', tenants_key) + redis.call('ZCARD', comers_key) + others
end

-- When the limits let the tenant start a job: 0 at once, else epoch ms; math.huge when one has to end first.
local function held_until(tenant, limits)
  if count_own(running_key, tenant) >= limits.most then return math.huge end
  if limits.interval == 0 then return 0 end
  local last = tonumber(redis.call('GET', started_key(tenant)) or 0)
  return last + limits.interval > now and last + limits.interval or 0
end

local leave, settle, enter_unlimited, settle_unlimited
do
  -- Puts a tenant into the sets of the kinds that it has ready, and takes it out of those of others.
  local function stand(tenant, score, is_comer)
    local is_usual = false
    for _, kind in ipairs(EVERY_KIND) do
      if #EVERY_KIND == 1 or has_ready(tenant, kind) then
        local set = is_comer and of_kind(comers_key, kind) or of_kind(tenants_key, kind)
        local is_new = redis.call('ZADD', set, 'NX', score, tenant) == 1
        if kind == '' then is_usual = true
        elseif is_new then call_workers(kind) end
      else
        redis.call('ZREM', of_kind(tenants_key, kind), tenant)
        redis.call('ZREM', of_kind(comers_key, kind), tenant)
      end
    end
    if #EVERY_KIND > 1 then redis.call(is_usual and 'SREM' or 'SADD', elsewhere_key, tenant) end
  end

  -- Takes part in the turns: who owes nothing before all that have had theirs, in the order of coming.
  local function enter(tenant)
    local s = read_share(tenant)
    local floor = virtual_time()
    s = { old = s and tag_of(s) or floor, floor = floor, new = 0, turn = s and s.turn + 1 or 1 }
    write_share(tenant, s)
    redis.call('ZREM', debts_key, tenant)
    if s.old > floor then stand(tenant, s.old, false)
    else stand(tenant, now_us, true) end
  end

  local function step_aside(tenant)
    for _, kind in ipairs(EVERY_KIND) do
      redis.call('ZREM', of_kind(tenants_key, kind), tenant)
      redis.call('ZREM', of_kind(comers_key, kind), tenant)
    end
    if #EVERY_KIND > 1 then redis.call('SREM', elsewhere_key, tenant) end
  end

  local function drop_spare(tenant)
    for _, kind in ipairs(EVERY_KIND) do redis.call('ZREM', of_kind(spare_key, kind), tenant) end
  end

  -- Nothing waits: the account stays while a job runs, or while the tenant owes.
  function leave(tenant)
    step_aside(tenant)
    redis.call('ZREM', held_key, tenant)
    drop_spare(tenant)
    if count_own(running_key, tenant) > 0 then return end
    local s = read_share(tenant)
    if not s then return end
    if tag_of(s) > virtual_time() then redis.call('ZADD', debts_key, tag_of(s), tenant)
    else redis.call('DEL', share_key(tenant)) end
  end

  -- A held tenant with soft limits waits for idle hands.
  local function stand_by(tenant)
    local s = read_share(tenant)
    local tag = s and tag_of(s) or virtual_time()
    for _, kind in ipairs(EVERY_KIND) do
      if #EVERY_KIND == 1 or has_ready(tenant, kind) then
        local is_new = redis.call('ZADD', of_kind(spare_key, kind), tag, tenant) == 1
        if is_new and kind ~= '' then call_workers(kind) end
      else
        redis.call('ZREM', of_kind(spare_key, kind), tenant)
      end
    end
  end

  -- Puts a tenant where it belongs, by the facts. Returns 1 when a free hand could take a job of it, else 0.
  function settle(tenant, limits)
    if not has_any_ready(tenant) then
      leave(tenant)
      return 0
    end
    local free_at = held_until(tenant, limits)
    if free_at == 0 then
      redis.call('ZREM', held_key, tenant)
      drop_spare(tenant)
      local score, is_comer = standing(tenant)
      if not score then enter(tenant)
      elseif #EVERY_KIND > 1 then stand(tenant, score, is_comer) end
      return 1
    end
    step_aside(tenant)
    redis.call('ZADD', held_key, free_at == math.huge and '+inf' or free_at, tenant)
    if not limits.soft then
      drop_spare(tenant)
      return 0
    end
    stand_by(tenant)
    return 1
  end

  -- The same for a tenant without a record, which has no limits, and no account but its score: when something of it
  -- has become ready, and when something was taken.
  function enter_unlimited(tenant)
    local score = standing(tenant)
    if score and #EVERY_KIND == 1 then return end
    stand(tenant, score or virtual_time(), false)
  end

  function settle_unlimited(tenant)
    if not has_any_ready(tenant) then step_aside(tenant)
    elseif #EVERY_KIND > 1 then enter_unlimited(tenant) end
  end
end

-- Lets out the tenants whose time has come: a few at a time, as long as nobody else has one of these kinds ready.
local function let_out(visible)
  local sets = {}
  for _, kind in ipairs(visible) do
    sets[#sets + 1] = of_kind(tenants_key, kind)
    sets[#sets + 1] = of_kind(comers_key, kind)
  end
  repeat
    local due = redis.call('ZRANGE', held_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, 16)
    for _, tenant in ipairs(due) do settle(tenant, limits_of(tenant) or UNLIMITED) end
  until #due == 0 or redis.call('EXISTS', unpack(sets)) > 0
end
