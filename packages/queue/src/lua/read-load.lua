-- What bears on when waiting jobs will start: how long jobs ran of late, what runs now, and which tenants wait for a
-- turn. Of many tenants a sample: the cost does not grow with the queue.
--
-- ARGV[1] prefix
-- Returns {now, virtual time,
--   {{tenant, started, ended, estimate_ms} of each success among the last ends},
--   {{taken, known cost, estimate_ms, jobs of its group that wait} of each running job},
--   {tenants, comers, held: how many there are},
--   {{set, tenant, tag, weight, max_running, interval_ms, pending, running, known cost, estimate_ms} of each in the sample}}
--   times in ms, '' for what is not known or not limited; costs and estimates of a tenant are those of its next job
-- Sent again: it only reads.

-- @include now
-- @include tenants
-- @include limits
-- @include fair-share
-- @include known-cost
-- @include members
-- @include kinds
-- @keys ends job running pending group ready tenants comers held elsewhere

local MAX_ENDS, MAX_RUNNING, SAMPLE = 64, 256, 32

local runs = {}
for _, entry in ipairs(redis.call('XREVRANGE', ends_key, '+', '-', 'COUNT', MAX_ENDS)) do
  -- Fields as event-log writes them: id, client.
  local id = entry[2][2]
  local state, run_started, run_ended, estimate =
    unpack(redis.call('HMGET', job_key(id), 'state', 'started', 'ended', 'estimate_ms'))
  if state == 'success' then
    runs[#runs + 1] = { tenant_of(id), run_started, run_ended, estimate or '' }
  end
end

local running = {}
for _, set in ipairs({ running_key, running_key .. '@' }) do
  for _, id in ipairs(redis.call('ZRANGE', set, 0, MAX_RUNNING - 1)) do
    local known, estimate, taken, lane = known_cost(id)
    local followers = lane ~= '' and redis.call('ZCARD', group_key(lane)) or 0
    running[#running + 1] = { taken, known, estimate, followers }
  end
end

local function next_of(tenant)
  for _, kind in ipairs(EVERY_KIND) do
    local m = redis.call('ZRANGE', of_kind(ready_key(tenant), kind), 0, 0)[1]
    if m then return known_cost(id_of(m)) end
  end
  return '', ''
end

local sampled = {}
local function add(name, tenant, score)
  local limits = limits_of(tenant) or UNLIMITED
  local share = read_share(tenant)
  local tag = name == 'tenants' and score or share and tostring(tag_of(share)) or ''
  local known, estimate = next_of(tenant)
  sampled[#sampled + 1] = {
    name, tenant, tag, tostring(limits.weight), limits.most == math.huge and '' or limits.most, limits.interval,
    count_own(pending_key, tenant), count_own(running_key, tenant), known, estimate,
  }
end
local function sample(name, set)
  local members = redis.call('ZCARD', set) <= SAMPLE and redis.call('ZRANGE', set, 0, -1)
    or redis.call('ZRANDMEMBER', set, SAMPLE)
  for _, tenant in ipairs(members) do add(name, tenant, redis.call('ZSCORE', set, tenant)) end
end
sample('tenants', tenants_key)
sample('comers', comers_key)
sample('held', held_key)

local counts = {}
for i, set in ipairs({ tenants_key, comers_key, held_key }) do counts[i] = redis.call('ZCARD', set) end
-- Tenants whose jobs are for some workers only.
if #EVERY_KIND > 1 then
  for _, tenant in ipairs(redis.call('SRANDMEMBER', elsewhere_key, SAMPLE)) do
    local score, is_comer = standing(tenant)
    add(is_comer and 'comers' or 'tenants', tenant, score)
  end
  counts[1] = counts[1] + redis.call('SCARD', elsewhere_key)
end
return { string.format('%.0f', now), tostring(virtual_time()), runs, running, counts, sampled }
