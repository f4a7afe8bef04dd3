import { COMMON_LUA } from './common.ts';

const REMOVE_PENDING_LUA = `
local function remove_pending(id)
  local job = redis.call('HMGET', P .. 'job:' .. id, 'state', 'm', 'tenant', 'lane', 'workflow')
  if job[1] ~= 'pending' then return 0 end
  redis.call('ZREM', P .. 'pending', job[2])
  redis.call('ZREM', P .. 'unreleased', id)
  withdraw(job[3], job[4], job[2])
  forget(id, job[2], 'pending', job[5])
  -- An end without a frame, for whoever follows the job: it leaves no trace in history.
  redis.call('PUBLISH', P .. 'ch:job:' .. id, 'T ' .. cjson.encode(id))
  return 1
end
`;

/** Removes pending jobs by id. ARGV: prefix, id... Returns: how many. */
export const DELETE_PENDING_LUA = `
${COMMON_LUA}
${REMOVE_PENDING_LUA}
local removed = 0
for i = 2, #ARGV do removed = removed + remove_pending(ARGV[i]) end
if removed > 0 then tell_status() end
return removed
`;

/**
 * Removes pending jobs that arrived up to a moment, a batch at a time.
 * ARGV: prefix, arrival number limit, batch. Returns: {seen, next offset}; done when seen < batch.
 */
export const CLEAR_PENDING_LUA = `
${COMMON_LUA}
${REMOVE_PENDING_LUA}
local limit, batch, offset = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local members = redis.call('ZRANGE', P .. 'pending', offset, offset + batch - 1)
local removed = 0
for _, m in ipairs(members) do
  if tonumber(string.sub(m, 1, 16)) <= limit then removed = removed + remove_pending(id_of(m)) end
end
if removed > 0 then tell_status() end
return { #members, offset + #members - removed }
`;

/**
 * Asks the workers to stop running jobs: marks each and rings the bell.
 * ARGV: prefix, id... (none: all that run). Returns: how many were running.
 */
export const INTERRUPT_LUA = `
${COMMON_LUA}
local ids = {}
for i = 2, #ARGV do ids[#ids + 1] = ARGV[i] end
if #ids == 0 then ids = redis.call('ZRANGE', P .. 'running', 0, -1) end
local rung = 0
for _, id in ipairs(ids) do
  if redis.call('HGET', P .. 'job:' .. id, 'state') == 'running' then
    redis.call('HSET', P .. 'job:' .. id, 'cancel', 1)
    redis.call('PUBLISH', P .. 'ch:bell', id)
    rung = rung + 1
  end
end
return rung
`;

/** Cancels jobs wherever they are: pending ones go, running ones are interrupted. ARGV: prefix, id... Returns: how many. */
export const CANCEL_LUA = `
${COMMON_LUA}
${REMOVE_PENDING_LUA}
local removed, rung = 0, 0
for i = 2, #ARGV do
  local id = ARGV[i]
  if redis.call('HGET', P .. 'job:' .. id, 'state') == 'running' then
    redis.call('HSET', P .. 'job:' .. id, 'cancel', 1)
    redis.call('PUBLISH', P .. 'ch:bell', id)
    rung = rung + 1
  else
    removed = removed + remove_pending(id)
  end
end
if removed > 0 then tell_status() end
return removed + rung
`;

/** Removes ended jobs from history by id. ARGV: prefix, id... Returns: how many. */
export const DELETE_HISTORY_LUA = `
${COMMON_LUA}
local removed = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local job = redis.call('HMGET', P .. 'job:' .. id, 'state', 'm', 'workflow')
  if job[1] and redis.call('ZREM', P .. 'history', job[2]) == 1 then
    forget(id, job[2], job[1], job[3])
    removed = removed + 1
  end
end
return removed
`;

/**
 * Removes the oldest ended jobs, a batch at a time: those that ended up to a moment, or those that are
 * more than a number.
 * ARGV: prefix, ended up to ms ('' = whenever), keep at least (0 = none), batch. Returns: how many; done when 0.
 */
export const TRIM_HISTORY_LUA = `
${COMMON_LUA}
local batch = math.min(tonumber(ARGV[4]), redis.call('ZCARD', P .. 'history') - tonumber(ARGV[3]))
if batch <= 0 then return 0 end
local limit = ARGV[2] == '' and '+inf' or ARGV[2]
local members = redis.call('ZRANGE', P .. 'history', '-inf', limit, 'BYSCORE', 'LIMIT', 0, batch)
for _, m in ipairs(members) do
  local id = id_of(m)
  local job = redis.call('HMGET', P .. 'job:' .. id, 'state', 'workflow')
  redis.call('ZREM', P .. 'history', m)
  forget(id, m, job[1] or 'success', job[2])
end
return #members
`;
