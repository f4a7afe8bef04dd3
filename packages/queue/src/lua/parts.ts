import { lua, luaNames } from '@tiercel/contracts';

/**
 * What several scripts of this package share: the moves between the sorted sets. A script includes a part by its
 * name; each part names the keys it touches. A job's member `m` is its arrival number, 16 digits, then ':' and
 * its id: equal scores then sort by arrival.
 */

export const LUA_MEMBERS = lua`
local function id_of(m) return string.sub(m, 18) end
local function arrival_of(m) return tonumber(string.sub(m, 1, 16)) end
`;

/** Tells every API how many jobs are in the queue, whenever that changes. */
export const LUA_STATUS = lua`
${luaNames('pending', 'running', 'status_channel')}
local function tell_status()
  local left = redis.call('ZCARD', pending_key) + redis.call('ZCARD', running_key)
  redis.call('PUBLISH', status_channel, left)
  return left
end
`;

/** What may be taken, and in whose turn. */
const LUA_OFFER = lua`
${luaNames('ready', 'tenants', 'vtime')}
local function offer(tenant, m, number)
  redis.call('ZADD', ready_key(tenant), number, m)
  if not redis.call('ZSCORE', tenants_key, tenant) then
    redis.call('ZADD', tenants_key, redis.call('GET', vtime_key) or '0', tenant)
  end
end
`;

/** Waiting jobs of one client: only the head of a lane is ready, and none while one of the lane runs. */
export const LUA_LANES = lua`
${LUA_OFFER}
${luaNames('lane', 'lanes')}
-- Makes a waiting job takeable as far as its lane allows. Returns 1 when it needs a permit of its own.
local function make_available(tenant, lane, m, number)
  if lane == '' then
    offer(tenant, m, number)
    return 1
  end
  redis.call('ZADD', lane_key(lane), number, m)
  if redis.call('HEXISTS', lanes_key, lane) == 1 then return 0 end
  local heads = redis.call('ZRANGE', lane_key(lane), 0, 1)
  if heads[1] ~= m then return 0 end
  if heads[2] then
    -- The former head was ready; this job goes first and uses its permit.
    redis.call('ZREM', ready_key(tenant), heads[2])
    offer(tenant, m, number)
    return 0
  end
  offer(tenant, m, number)
  return 1
end
-- Takes a waiting job out of the scheduling sets; the next of its lane inherits its permit.
local function withdraw(tenant, lane, m)
  local was_ready = redis.call('ZREM', ready_key(tenant), m)
  if lane == '' then return end
  redis.call('ZREM', lane_key(lane), m)
  if was_ready == 1 then
    local head = redis.call('ZRANGE', lane_key(lane), 0, 0, 'WITHSCORES')
    if head[1] then offer(tenant, head[1], head[2]) end
  end
end
-- Ends a lane's run. Returns 1 when its next job became ready and needs a permit.
local function free_lane(tenant, lane)
  if lane == '' then return 0 end
  redis.call('HDEL', lanes_key, lane)
  local head = redis.call('ZRANGE', lane_key(lane), 0, 0, 'WITHSCORES')
  if not head[1] then return 0 end
  offer(tenant, head[1], head[2])
  return 1
end
`;

/** Removes a record and everything that names it, whatever state it is in but running. */
export const LUA_FORGET = lua`
${luaNames('job', 'created', 'duration', 'workflow', 'events')}
local function forget(id, m, state, workflow)
  redis.call('ZREM', created_key(state), m)
  redis.call('ZREM', duration_key(state), m)
  if workflow and workflow ~= '' then redis.call('ZREM', workflow_key(workflow), m) end
  redis.call('DEL', job_key(id), events_key(id))
end
`;

/** Removes one pending job without a trace. Returns 1, or 0 when it does not wait. */
export const LUA_REMOVE_PENDING = lua`
${LUA_STATUS}
${LUA_LANES}
${LUA_FORGET}
${luaNames('unreleased', 'job_channel')}
local function remove_pending(id)
  local state, m, tenant, lane, workflow =
    unpack(redis.call('HMGET', job_key(id), 'state', 'm', 'tenant', 'lane', 'workflow'))
  if state ~= 'pending' then return 0 end
  redis.call('ZREM', pending_key, m)
  redis.call('ZREM', unreleased_key, id)
  withdraw(tenant, lane, m)
  forget(id, m, 'pending', workflow)
  -- An end without a frame, for whoever follows the job: it leaves no trace in history.
  redis.call('PUBLISH', job_channel(id), 'T ' .. cjson.encode(id))
  return 1
end
`;

/** Asks the worker of a running job to stop it: a mark on the record, and the bell. Returns 1, or 0. */
export const LUA_STOP_RUNNING = lua`
${luaNames('job', 'bell_channel')}
local function stop_running(id)
  if redis.call('HGET', job_key(id), 'state') ~= 'running' then return 0 end
  redis.call('HSET', job_key(id), 'cancel', 1)
  redis.call('PUBLISH', bell_channel, id)
  return 1
end
`;

/**
 * A count that the caller is told is remembered for a minute under the id of the call: sent again after a lost
 * reply, the script would find nothing left to count.
 */
export const LUA_COUNT_ONCE = lua`
${luaNames('reply')}
local function count_once(call, count)
  local known = redis.call('GET', reply_key(call))
  if known then return tonumber(known) end
  local counted = count()
  if counted > 0 then redis.call('SET', reply_key(call), counted, 'EX', 60) end
  return counted
end
`;
