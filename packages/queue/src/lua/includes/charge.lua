-- Whose turn it is, and what the start and the end of a job cost its tenant.

-- @include now
-- @include limits
-- @include tenants
-- @include fair-share
-- @keys job running tenants comers spare share debts vtime vtime_lag started costs

-- What is charged when nothing is known of a job.
local UNKNOWN_COST_MS = 1000
-- The time of the last start is kept so long at least: an interval that is made longer meets it.
local STARTED_KEPT_MS = 600000

-- Who has come and had no turn yet goes first: unless those that had theirs have fallen behind farther than wrong
-- expectations explain. Then so many come that they would starve.
local function first_free()
  local comer = redis.call('ZRANGE', comers_key, 0, 0)[1]
  local tenant, tag, other = unpack(redis.call('ZRANGE', tenants_key, 0, 1, 'WITHSCORES'))
  if not comer then return tenant, tenant and tonumber(tag), other end
  if tenant then
    local v, lag = unpack(redis.call('MGET', vtime_key, vtime_lag_key))
    local most = (lag or 0) * (count_all(running_key) + 1)
    if tag + most < (tonumber(v) or 0) then return tenant, tonumber(tag), comer end
  end
  return comer, virtual_time(), tenant
end

-- Returns tenant, tag, limits, whether others wait too; nil when nobody may start.
local function next_turn()
  if was_holding then let_out() end
  while true do
    local tenant, tag, other = first_free()
    local is_spare = not tenant
    if is_spare then tenant, tag = unpack(redis.call('ZRANGE', spare_key, 0, 0, 'WITHSCORES')) end
    if not tenant then return nil end
    local limits = limits_of(tenant)
    -- A limit may have been lowered since the tenant took its turn.
    if is_spare or not limits or held_until(tenant, limits) == 0 then return tenant, tonumber(tag), limits, other end
    settle(tenant, limits)
  end
end

-- The virtual time advances with the mean of the tags of all that are ready.
local function advance(amount)
  local n = math.max(1, redis.call('ZCARD', tenants_key) + redis.call('ZCARD', comers_key))
  redis.call('SET', vtime_key, tonumber(redis.call('GET', vtime_key) or 0) + amount / n)
end

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

local function expected_cost(signature, estimate)
  local known = signature and signature ~= '' and redis.call('HGET', costs_key, signature)
  return tonumber(known or estimate) or UNKNOWN_COST_MS
end

-- The tag of a tenant has changed: so has its turn. One that came is in debt by now.
local function move(tenant, s)
  local tag = tag_of(s)
  if tag > s.floor and redis.call('ZREM', comers_key, tenant) == 1 then redis.call('ZADD', tenants_key, tag, tenant)
  else redis.call('ZADD', tenants_key, 'XX', tag, tenant) end
  redis.call('ZADD', spare_key, 'XX', tag, tenant)
end

local function charge(tenant, limits, tag, id, cost)
  local amount = cost / limits.weight
  local s = read_share(tenant) or { old = tag, floor = tag, new = 0, turn = 1 }
  -- The least tag may have sunk since it came.
  if redis.call('ZSCORE', comers_key, tenant) then s.floor = math.min(s.floor, tag) end
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
local function settle_charge(tenant, id, cost)
  local charged, weight, turn = unpack(redis.call('HMGET', job_key(id), 'cost', 'weight', 'turn'))
  if not charged then return 0 end
  local was_free = is_free(tenant)
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
  return was_free and 0 or can_start
end
