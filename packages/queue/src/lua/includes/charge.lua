-- Whose turn it is, and what the start and the end of a job cost its tenant.

-- @include now
-- @include limits
-- @include tenants
-- @include fair-share
-- @include kinds
-- @keys job running share debts vtime vtime_lag started costs comers spare tenants

-- What is charged when nothing is known of a job.
local UNKNOWN_COST_MS = 1000
-- The time of the last start is kept so long at least: an interval that is made longer meets it.
local STARTED_KEPT_MS = 600000

local next_turn
do
  -- Who has come and had no turn yet goes first: unless those that had theirs have fallen behind farther than wrong
  -- expectations explain. Then so many come that they would starve. Returns tenant, tag, whether others wait too.
  local function first_free(visible)
    local comer, tenant, came, tag
    local others = {}
    for _, kind in ipairs(visible) do
      local first = redis.call('ZRANGE', of_kind(comers_key, kind), 0, 0, 'WITHSCORES')
      if first[1] and (not comer or tonumber(first[2]) < came) then comer, came = first[1], tonumber(first[2]) end
      local two = redis.call('ZRANGE', of_kind(tenants_key, kind), 0, 1, 'WITHSCORES')
      if two[1] and (not tenant or tonumber(two[2]) < tag) then tenant, tag = two[1], tonumber(two[2]) end
      others[#others + 1] = two[1]
      others[#others + 1] = two[3]
    end
    if not comer then
      for _, other in ipairs(others) do
        if other ~= tenant then return tenant, tag, other end
      end
      return tenant, tag
    end
    if tenant then
      local v, lag = unpack(redis.call('MGET', vtime_key, vtime_lag_key))
      local most = (lag or 0) * (count_all(running_key) + 1)
      if tag + most < (tonumber(v) or 0) then return tenant, tag, comer end
    end
    return comer, virtual_time(), tenant
  end

  local function first_spare(visible)
    local tenant, tag
    for _, kind in ipairs(visible) do
      local first = redis.call('ZRANGE', of_kind(spare_key, kind), 0, 0, 'WITHSCORES')
      if first[1] and (not tenant or tonumber(first[2]) < tag) then tenant, tag = first[1], tonumber(first[2]) end
    end
    return tenant, tag
  end

  -- Among the kinds of one rank; with_spare: also a tenant at its soft limits, when nobody else is ready. Returns
  -- tenant, tag, limits, whether others wait too; nil when nobody may start.
  function next_turn(visible, with_spare)
    if was_holding then let_out(visible) end
    while true do
      local tenant, tag, other = first_free(visible)
      local is_spare = not tenant
      if is_spare and with_spare then tenant, tag = first_spare(visible) end
      if not tenant then return nil end
      local limits = limits_of(tenant)
      -- A limit may have been lowered since the tenant took its turn.
      if is_spare or not limits or held_until(tenant, limits) == 0 then return tenant, tonumber(tag), limits, other end
      settle(tenant, limits)
    end
  end
end

-- The virtual time advances with the mean of the tags of all that are ready.
local function advance(amount)
  redis.call('SET', vtime_key, tonumber(redis.call('GET', vtime_key) or 0) + amount / math.max(1, count_free()))
end

local function expected_cost(signature, estimate)
  local known = signature and signature ~= '' and redis.call('HGET', costs_key, signature)
  return tonumber(known or estimate) or UNKNOWN_COST_MS
end

local charge, settle_charge
do
  -- What the dearest job of late has cost.
  local function note_dearest(amount)
    redis.call('SET', vtime_lag_key, math.max(amount, 0.99 * (redis.call('GET', vtime_lag_key) or 0)))
  end

  local function forget_paid_debts()
    for _, tenant in ipairs(redis.call('ZRANGE', debts_key, '-inf', virtual_time(), 'BYSCORE', 'LIMIT', 0, 4)) do
      redis.call('ZREM', debts_key, tenant)
      redis.call('DEL', share_key(tenant))
    end
  end

  -- The tag of a tenant has changed: so has its turn. One that came is in debt by now.
  local function move(tenant, s)
    local tag = tag_of(s)
    for _, kind in ipairs(EVERY_KIND) do
      local owes = tag > s.floor and redis.call('ZREM', of_kind(comers_key, kind), tenant) == 1
      if owes then redis.call('ZADD', of_kind(tenants_key, kind), tag, tenant)
      else redis.call('ZADD', of_kind(tenants_key, kind), 'XX', tag, tenant) end
      redis.call('ZADD', of_kind(spare_key, kind), 'XX', tag, tenant)
    end
  end

  function charge(tenant, limits, tag, id, cost)
    local amount = cost / limits.weight
    local s = read_share(tenant) or { old = tag, floor = tag, new = 0, turn = 1 }
    -- The least tag may have sunk since it came.
    local _, is_comer = standing(tenant)
    if is_comer then s.floor = math.min(s.floor, tag) end
    advance(amount)
    note_dearest(amount)
    s.new = s.new + amount
    write_share(tenant, s)
    redis.call('HSET', job_key(id), 'cost', cost, 'weight', limits.weight, 'turn', s.turn)
    redis.call('SET', started_key(tenant), now, 'PX', math.max(limits.interval, STARTED_KEPT_MS))
    move(tenant, s)
    forget_paid_debts()
  end

  -- A charged run is over: it has cost this. Returns 1 when the tenant may start a job that it could not start before.
  function settle_charge(tenant, id, cost)
    local charged, weight, turn = unpack(redis.call('HMGET', job_key(id), 'cost', 'weight', 'turn'))
    if not charged then return 0 end
    local was_free = standing(tenant)
    local s = read_share(tenant)
    if s then
      local part = tonumber(turn) == s.turn and 'new' or 'old'
      local amount = (cost - charged) / weight
      s[part] = s[part] + amount
      advance(amount)
      note_dearest(cost / weight)
      write_share(tenant, s)
      move(tenant, s)
    end
    local can_start = settle(tenant, limits_of(tenant) or UNLIMITED)
    if was_free or not has_ready(tenant, '') then return 0 end
    return can_start
  end
end
