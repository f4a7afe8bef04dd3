-- Whether a tenant may post one more job, by its plan. What `default` posts is not counted: it has no plan.

-- @include now
-- @include tenants
-- @include dates
-- @include spent
-- @keys pending posted ends tenants comers held elsewhere

-- Ends of jobs that tell how fast jobs are served: those of the last minute, so many at most.
local SERVICE_WINDOW_MS = 60000
local SERVICE_ENDS = 100

local today = math.floor(now / DAY_MS)

-- Returns how many jobs have ended lately, in how many ms, and how many tenants share that.
local function service_rate()
  local since = string.format('%.0f', now - SERVICE_WINDOW_MS)
  local recent = redis.call('XREVRANGE', ends_key, '+', since, 'COUNT', SERVICE_ENDS)
  local first = #recent > 0 and tonumber(string.match(recent[#recent][1], '^%d+')) or now
  local sharers = redis.call('ZCARD', tenants_key) + redis.call('ZCARD', comers_key) + redis.call('ZCARD', held_key) +
    redis.call('SCARD', elsewhere_key)
  return #recent, string.format('%.0f', now - first), sharers
end

-- Returns nil when it may, else what the script replies.
local function refuse_job(tenant, most_pending, most_a_day)
  local waiting = most_pending ~= '' and count_own(pending_key, tenant)
  if waiting and waiting >= tonumber(most_pending) then return { 'over', waiting, service_rate() } end
  local posted = most_a_day ~= '' and tonumber(redis.call('HGET', posted_key(today), tenant) or 0)
  if posted and posted >= tonumber(most_a_day) then
    return { 'spent', posted, string.format('%.0f', day_end() - now) }
  end
end

-- The same for what it would cost at least.
local function refuse_cost(tenant, least, day_budget, month_budget)
  if least == '' then return nil end
  local day, month = spent_by(tenant)
  local function refuse(spent, budget, period, ends)
    if spent + least <= (tonumber(budget) or math.huge) then return nil end
    return { 'poor', string.format('%.0f', spent), string.format('%.0f', ends() - now), period }
  end
  return refuse(month, month_budget, 'month', month_end) or refuse(day, day_budget, 'day', day_end)
end

local function note_posted(tenant)
  if tenant == DEFAULT_TENANT then return end
  redis.call('HINCRBY', posted_key(today), tenant, 1)
  redis.call('PEXPIREAT', posted_key(today), day_end() + DAY_MS)
end
