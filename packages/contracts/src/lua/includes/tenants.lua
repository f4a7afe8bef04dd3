-- Whose a job is. Its id names the tenant (packages/contracts/src/scoped.ts). A set of jobs (pending, running, history,
-- created, duration) has parts: the plain name holds the jobs of the default tenant, `<set>@<tenant>` those of another
-- one, and `<set>@` those of all others together. So each tenant's own costs what it has, and all jobs are two sets.

local DEFAULT_TENANT = 'default'

local function tenant_of(id) return string.match(id, '^([^\31]*)\31') or DEFAULT_TENANT end
-- What its caller knows it by.
local function prompt_id_of(id) return string.match(id, '^[^\31]*\31(.*)$') or id end
-- Another text of the same tenant, scoped.
local function scoped(tenant, text)
  if tenant == DEFAULT_TENANT and not string.find(text, '\31', 1, true) then return text end
  return tenant .. '\31' .. text
end
-- The part that is the tenant's own.
local function own(set, tenant)
  return tenant == DEFAULT_TENANT and set or set .. '@' .. tenant
end
local function add_to(set, tenant, score, member)
  redis.call('ZADD', own(set, tenant), score, member)
  if tenant ~= DEFAULT_TENANT then redis.call('ZADD', set .. '@', score, member) end
end
-- Gives a member that is there another score.
local function move_in(set, tenant, score, member)
  redis.call('ZADD', own(set, tenant), 'XX', score, member)
  if tenant ~= DEFAULT_TENANT then redis.call('ZADD', set .. '@', 'XX', score, member) end
end
-- Returns 1, or 0 when it was not there.
local function remove_from(set, tenant, member)
  if tenant ~= DEFAULT_TENANT then redis.call('ZREM', set .. '@', member) end
  return redis.call('ZREM', own(set, tenant), member)
end
local function count_own(set, tenant) return redis.call('ZCARD', own(set, tenant)) end
local function count_all(set) return redis.call('ZCARD', set) + redis.call('ZCARD', set .. '@') end
