-- Chooses running jobs that are to make room: for each tenant that preempts, has a job that may start, and finds no idle
-- hand, the youngest running job of a tenant that may be preempted, of those whose worker can run that job; but only if
-- that is cheaper to run again than it is to wait for the next hand. It is marked; its worker hands it back. One at a
-- time for each tenant.
--
-- ARGV[1] prefix
-- ARGV[2] waited_ms  since the waiting job was accepted, or was called for: an idle hand would have taken it by then
-- Returns {id, claim, ...} of all jobs that are marked
-- Sent again: the same jobs: they are marked.
-- Caller dies: whoever asks next tells their workers.

-- @include now
-- @include tenants
-- @include members
-- @include kinds
-- @include limits
-- @include fair-share
-- @include charge
-- @include urgent
-- @keys preempting job running ready fleet waiting_permits

local MOST_TENANTS, MOST_RUNNING = 64, 1000
-- A run that takes longer than expected is thought to need another part of the time that it has had.
local OVERTIME = 0.1

if redis.call('EXISTS', preempting_key) == 0 then return {} end
local preempting = redis.call('SRANDMEMBER', preempting_key, MOST_TENANTS)

-- Profiles of the workers that start further jobs; those of the others make no room.
local profiles, drained = {}, {}
local fleet = redis.call('HGETALL', fleet_key)
for i = 1, #fleet, 2 do
  local is_drained, profile = string.match(fleet[i + 1], '^%d+ %d (%d) (%S*)')
  profiles[fleet[i]] = profile
  drained[fleet[i]] = is_drained == '1'
end

-- Running jobs, the youngest first; who has been made room for.
local youngest, served, marked = {}, {}, {}
local function mark(job)
  marked[#marked + 1] = job.id
  marked[#marked + 1] = job.claim
end
for _, set in ipairs({ running_key, running_key .. '@' }) do
  for _, id in ipairs(redis.call('ZRANGE', set, 0, MOST_RUNNING - 1, 'REV')) do
    local tenant, claim, taken, worker, signature, estimate, lost, by, kept, cancel = unpack(redis.call('HMGET',
      job_key(id), 'tenant', 'claim', 'taken', 'worker', 'signature', 'estimate_ms', 'lost_ms', 'preempted_by',
      'kept_claim', 'cancel'))
    if by then
      served[string.match(by, '^[^\n]*')] = true
      mark({ id = id, claim = claim })
    elseif claim and taken and not drained[worker] then
      local elapsed = now - taken
      local left = math.max(expected_cost(signature, estimate) - elapsed, elapsed * OVERTIME)
      youngest[#youngest + 1] = { id = id, claim = claim, tenant = tenant, profile = profiles[worker], left = left,
        lost = elapsed + (lost or 0), may_go_back = not cancel and kept ~= claim }
    end
  end
end

-- Whether the first ready job of a kind finds no idle hand. What is for all workers has a permit, which waits then;
-- those that can run another kind are called.
local function is_stuck(tenant, kind)
  local first = redis.call('ZRANGE', of_kind(ready_key(tenant), kind), 0, 0)[1]
  if not first then return false end
  local created, taken, called = unpack(redis.call('HMGET', job_key(id_of(first)), 'created', 'taken', 'called'))
  if kind == '' then
    return created and now - created >= tonumber(waited_ms) and redis.call('LLEN', waiting_permits_key) > 0
  end
  if called and tonumber(called) > tonumber(taken or 0) then return now - called >= tonumber(waited_ms) end
  redis.call('HSET', job_key(id_of(first)), 'called', string.format('%.0f', now))
  call_workers(kind)
  return false
end

local function make_room(tenant, kind)
  local able, next_free = {}, math.huge
  for _, job in ipairs(youngest) do
    if kind == '' or job.profile and rank_for(job.profile, kind_texts[kind]) then
      able[#able + 1] = job
      next_free = math.min(next_free, job.left)
    end
  end
  for _, job in ipairs(able) do
    local limits = job.may_go_back and job.tenant ~= tenant and job.lost < next_free and limits_of(job.tenant)
    if limits and limits.is_preemptible then
      redis.call('HSET', job_key(job.id), 'preempted_by', of_kind(tenant, kind))
      job.may_go_back = false
      mark(job)
      return true
    end
  end
end

for _, tenant in ipairs(preempting) do
  local limits = limits_of(tenant)
  if not limits or not limits.preempts then
    redis.call('SREM', preempting_key, tenant)
  elseif not served[tenant] and standing(tenant) and held_until(tenant, limits) == 0 and not is_urgent(tenant) then
    for _, kind in ipairs(EVERY_KIND) do
      if is_stuck(tenant, kind) and make_room(tenant, kind) then break end
    end
  end
end
return marked
