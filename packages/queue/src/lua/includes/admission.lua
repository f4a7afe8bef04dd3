-- Whether a tenant may post one more job, by its plan. What `default` posts is not counted: it has no plan.

-- @include now
-- @include tenants
-- @keys pending posted ends tenants comers held

local ADMISSION_DAY_MS = 86400000
-- Ends of jobs that tell how fast jobs are served: those of the last minute, so many at most.
local SERVICE_WINDOW_MS = 60000
local SERVICE_ENDS = 100

local today = math.floor(now / ADMISSION_DAY_MS)

-- Returns how many jobs have ended lately, in how many ms, and how many tenants share that.
local function service_rate()
  local since = string.format('%.0f', now - SERVICE_WINDOW_MS)
  local recent = redis.call('XREVRANGE', ends_key, '+', since, 'COUNT', SERVICE_ENDS)
  local first = #recent > 0 and tonumber(string.match(recent[#recent][1], '^%d+')) or now
  local sharers = redis.call('ZCARD', tenants_key) + redis.call('ZCARD', comers_key) + redis.call('ZCARD', held_key)
  return #recent, string.format('%.0f', now - first), sharers
end

-- Returns nil when it may, else what the script replies.
local function refuse_job(tenant, most_pending, most_a_day)
  local waiting = most_pending ~= '' and count_own(pending_key, tenant)
  if waiting and waiting >= tonumber(most_pending) then return { 'over', waiting, service_rate() } end
  local posted = most_a_day ~= '' and tonumber(redis.call('HGET', posted_key(today), tenant) or 0)
  if posted and posted >= tonumber(most_a_day) then
    return { 'spent', posted, string.format('%.0f', (today + 1) * ADMISSION_DAY_MS - now) }
  end
end

local function note_posted(tenant)
  if tenant == DEFAULT_TENANT then return end
  redis.call('HINCRBY', posted_key(today), tenant, 1)
  redis.call('PEXPIREAT', posted_key(today), (today + 2) * ADMISSION_DAY_MS)
end
