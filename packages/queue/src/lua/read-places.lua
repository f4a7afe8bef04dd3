-- Where jobs of one tenant stand, and all that bears on their turn and is the tenant's own.
--
-- ARGV[1] prefix
-- ARGV[2] tenant
-- ARGV[3..] ids   of its jobs
-- Returns {{now, set, tag, rank in the set, weight, max_running, interval_ms, soft (0|1), last start},
--   {{taken, known cost, estimate_ms} of each of its running jobs},
--   {{known cost, estimate_ms} of each of its first waiting jobs},
--   {{state, rank among the waiting, rank among the ready, rank in the group, taken, known cost and estimate_ms of the
--     job that runs in the group, its own taken, known cost, estimate_ms} of each of the ids}}
--   set: where the tenant waits for its turn, '' for nowhere; ranks from 0, -1 for not there; '' for what is not known
-- Sent again: it only reads.

-- @include now
-- @include tenants
-- @include limits
-- @include fair-share
-- @include known-cost
-- @include members
-- @include kinds
-- @keys job pending running ready group groups tenants comers held started

local FIRST_WAITING, MAX_RUNNING = 32, 64

local function rank_in(set, member)
  return redis.call('ZRANK', set, member) or -1
end

local set_name, rank, tag = '', -1, ''
for name, set in pairs({ tenants = tenants_key, comers = comers_key, held = held_key }) do
  for _, kind in ipairs(set == held_key and { '' } or EVERY_KIND) do
    local found = redis.call('ZRANK', of_kind(set, kind), tenant)
    if found and (rank == -1 or found < rank) then set_name, rank = name, found end
  end
end
local share = read_share(tenant)
if set_name == 'tenants' then tag = standing(tenant)
elseif share then tag = tostring(tag_of(share)) end
local limits = limits_of(tenant) or UNLIMITED
local facts = { string.format('%.0f', now), set_name, tag, rank, tostring(limits.weight),
  limits.most == math.huge and '' or limits.most, limits.interval, limits.soft and 1 or 0,
  redis.call('GET', started_key(tenant)) or '' }

local under_way = {}
for _, id in ipairs(redis.call('ZRANGE', own(running_key, tenant), 0, MAX_RUNNING - 1)) do
  local known, estimate, taken = known_cost(id)
  under_way[#under_way + 1] = { taken, known, estimate }
end
local first = {}
for _, m in ipairs(redis.call('ZRANGE', own(pending_key, tenant), 0, FIRST_WAITING - 1)) do
  local known, estimate = known_cost(id_of(m))
  first[#first + 1] = { known, estimate }
end

local function place_of(id)
  local state, m, lane, kind = unpack(redis.call('HMGET', job_key(id), 'state', 'm', 'lane', 'kind'))
  if not state then return { '' } end
  kind = kind_named(kind)
  local known, estimate, taken = known_cost(id)
  local group_taken, group_known, group_estimate, in_group = '', '', '', -1
  if lane ~= '' then
    in_group = rank_in(of_kind(group_key(lane), kind), m)
    local head = redis.call('HGET', groups_key, lane)
    if head and head ~= id then group_known, group_estimate, group_taken = known_cost(head) end
  end
  return { state, rank_in(own(pending_key, tenant), m), rank_in(of_kind(ready_key(tenant), kind), m), in_group,
    group_taken, group_known, group_estimate, taken, known, estimate }
end
local places = {}
for i, id in ipairs(ids) do places[i] = place_of(id) end
return { facts, under_way, first, places }
