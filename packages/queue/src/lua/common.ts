/**
 * Shared by every script of this package: key names and the moves between the sorted sets.
 *
 * A job's member `m` in sorted sets is its arrival number, 16 digits, then ':' and its id: equal
 * scores then sort by arrival. Keys (all below the prefix):
 *   job:<id>          hash, the record
 *   pending           m by number: everything waiting, for GET /queue
 *   unreleased        id by time: accepted, but the answer to the caller is not flushed yet
 *   ready:<tenant>    m by number: what a permit may take now
 *   lane:<lane>       m by number: waiting jobs of one client_id (serial mode); its head is in ready
 *   lanes             hash lane -> id of its running job
 *   tenants           tenant by virtual time: tenants with something ready
 *   vtime, weights    the fair share's clock; hash tenant -> weight (1 when absent)
 *   running           id by the time it was taken
 *   permits           hash permit -> id it was given
 *   history           m by the time of ending
 *   created:<state>   m by creation time, for GET /api/jobs
 *   duration:<state>  m by run time (ms), of ended jobs only: the others have none
 *   workflow:<id>     m by creation time, for its workflow_id filter
 *   seq, number       counters
 */
export const COMMON_LUA = `
local P = ARGV[1] .. ':'
local function remaining()
  return redis.call('ZCARD', P .. 'pending') + redis.call('ZCARD', P .. 'running')
end
local function tell_status()
  local left = remaining()
  redis.call('PUBLISH', P .. 'ch:status', left)
  return left
end
local function offer(tenant, m, score)
  redis.call('ZADD', P .. 'ready:' .. tenant, score, m)
  if not redis.call('ZSCORE', P .. 'tenants', tenant) then
    redis.call('ZADD', P .. 'tenants', redis.call('GET', P .. 'vtime') or '0', tenant)
  end
end
-- Makes a waiting job takeable as far as its lane allows. Returns 1 when it needs a permit of its own.
local function make_available(tenant, lane, m, score)
  if lane == '' then
    offer(tenant, m, score)
    return 1
  end
  local key = P .. 'lane:' .. lane
  redis.call('ZADD', key, score, m)
  if redis.call('HEXISTS', P .. 'lanes', lane) == 1 then return 0 end
  local heads = redis.call('ZRANGE', key, 0, 1)
  if heads[1] ~= m then return 0 end
  if heads[2] then
    -- The former head was ready; this job goes first and uses its permit.
    redis.call('ZREM', P .. 'ready:' .. tenant, heads[2])
    offer(tenant, m, score)
    return 0
  end
  offer(tenant, m, score)
  return 1
end
-- Takes a waiting job out of the scheduling sets; the next of its lane inherits its permit.
local function withdraw(tenant, lane, m)
  local was_ready = redis.call('ZREM', P .. 'ready:' .. tenant, m)
  if lane == '' then return end
  local key = P .. 'lane:' .. lane
  redis.call('ZREM', key, m)
  if was_ready == 1 then
    local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if head[1] then offer(tenant, head[1], head[2]) end
  end
end
-- Ends a lane's run. Returns 1 when its next job became ready and needs a permit.
local function free_lane(tenant, lane)
  if lane == '' then return 0 end
  redis.call('HDEL', P .. 'lanes', lane)
  local head = redis.call('ZRANGE', P .. 'lane:' .. lane, 0, 0, 'WITHSCORES')
  if not head[1] then return 0 end
  offer(tenant, head[1], head[2])
  return 1
end
-- Removes a record and everything that names it, whatever state it is in but running.
local function forget(id, m, state, workflow)
  redis.call('ZREM', P .. 'created:' .. state, m)
  redis.call('ZREM', P .. 'duration:' .. state, m)
  if workflow and workflow ~= '' then redis.call('ZREM', P .. 'workflow:' .. workflow, m) end
  redis.call('DEL', P .. 'job:' .. id, P .. 'events:' .. id)
end
local function id_of(m)
  return string.sub(m, 18)
end
`;
