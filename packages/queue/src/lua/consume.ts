import { EMIT_LUA } from '@tiercel/contracts';
import { COMMON_LUA } from './common.ts';

const FIELDS = `'id', 'prompt', 'extra', 'targets', 'client', 'number', 'tenant', 'created', 'attempt', 'cancel'`;

/**
 * Gives a permit its job: the one it was given before (the permit was redelivered because its worker
 * died), else the first ready job of the tenant whose turn it is by weighted fair share. A permit whose
 * job has ended may ask for another one (again = 1); it gets nothing when it was redelivered meanwhile.
 *
 * ARGV: prefix, permit, worker, now ms, again (0|1)
 * Returns: nil | {id, prompt, extra, targets, client, number, tenant, created, attempt, cancel, secrets}
 */
export const TAKE_LUA = `
${COMMON_LUA}
local permit, worker, now = ARGV[2], ARGV[3], ARGV[4]
local function give(id)
  redis.call('HINCRBY', P .. 'job:' .. id, 'attempt', 1)
  redis.call('HSET', P .. 'job:' .. id, 'permit', permit, 'worker', worker, 'taken', now)
  redis.call('ZADD', P .. 'running', now, id)
  local job = redis.call('HMGET', P .. 'job:' .. id, ${FIELDS})
  job[11] = redis.call('GET', P .. 'secrets:' .. id)
  return job
end
local given = redis.call('HGET', P .. 'permits', permit)
if given then
  if ARGV[5] == '1' then return nil end
  local job = redis.call('HMGET', P .. 'job:' .. given, 'state', 'permit')
  if job[1] == 'running' and job[2] == permit then return give(given) end
  redis.call('HDEL', P .. 'permits', permit)
end
local m, tenant
repeat
  local turn = redis.call('ZRANGE', P .. 'tenants', 0, 0, 'WITHSCORES')
  tenant = turn[1]
  if not tenant then return nil end
  local first = redis.call('ZPOPMIN', P .. 'ready:' .. tenant)
  m = first[1]
  if m then
    local weight = tonumber(redis.call('HGET', P .. 'weights', tenant) or 1)
    redis.call('SET', P .. 'vtime', turn[2])
    redis.call('ZINCRBY', P .. 'tenants', 1 / weight, tenant)
  end
  if redis.call('ZCARD', P .. 'ready:' .. tenant) == 0 then redis.call('ZREM', P .. 'tenants', tenant) end
until m
local id = id_of(m)
local job = redis.call('HMGET', P .. 'job:' .. id, 'lane', 'created')
redis.call('ZREM', P .. 'pending', m)
if job[1] ~= '' then
  redis.call('ZREM', P .. 'lane:' .. job[1], m)
  redis.call('HSET', P .. 'lanes', job[1], id)
end
change_state(id, m, 'pending', 'running', job[2], 0)
redis.call('HSET', P .. 'permits', permit, id)
local taken = give(id)
tell_status()
return taken
`;

/** Whether this permit and attempt still own the running job: a worker taken for dead must not end it. */
const OWNED_LUA = `
local function owned(id, permit, attempt)
  local job = redis.call('HMGET', P .. 'job:' .. id, 'state', 'permit', 'attempt', 'm', 'tenant', 'lane',
    'created', 'client', 'number')
  if job[1] ~= 'running' or job[2] ~= permit or job[3] ~= attempt then return nil end
  return job
end
`;

/**
 * Ends a job: the record goes to history in the same step in which it leaves `running`, and the end is
 * announced: terminal event, `status`, `executing {node: null}`.
 *
 * ARGV: prefix, id, permit, attempt, now ms, outcome, started ms, outputs, messages, meta, report,
 *       outputs count, preview output, error, terminal frame, executing-null frame,
 *       history items, events per job, events ttl s
 * Returns: {0} when the job is no longer this attempt's | {1, a successor in its lane became ready (0|1)}
 */
export const FINISH_LUA = `
${COMMON_LUA}
${EMIT_LUA}
${OWNED_LUA}
local id, permit, now, outcome = ARGV[2], ARGV[3], ARGV[5], ARGV[6]
local job = owned(id, permit, ARGV[4])
if not job then return { 0 } end
local m, tenant, lane, created, client = job[4], job[5], job[6], job[7], job[8]
redis.call('HSET', P .. 'job:' .. id, 'ended', now, 'started', ARGV[7], 'outputs', ARGV[8], 'messages', ARGV[9],
  'meta', ARGV[10], 'report', ARGV[11], 'outputs_count', ARGV[12], 'preview_output', ARGV[13], 'error', ARGV[14])
redis.call('HDEL', P .. 'job:' .. id, 'permit', 'worker', 'cancel')
redis.call('HDEL', P .. 'permits', permit)
redis.call('ZREM', P .. 'running', id)
change_state(id, m, 'running', outcome, created, tonumber(now) - tonumber(ARGV[7]))
redis.call('ZADD', P .. 'history', redis.call('INCR', P .. 'ended'), m)
redis.call('DEL', P .. 'secrets:' .. id, P .. 'preview:' .. id)
local needs_permit = free_lane(tenant, lane)
local left = remaining()
local interrupted = outcome == 'interrupted' and 1 or 0
emit(ARGV[1], id, 'T', client, ARGV[18], {
  { ARGV[15], 1, interrupted },
  { '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":' .. left .. '}}}}', 0, 0 },
  { ARGV[16], 1, 0 },
})
redis.call('EXPIRE', P .. 'events:' .. id, ARGV[19])
if #client > 1 then
  local missed = P .. 'missed:' .. string.sub(client, 2)
  redis.call('ZADD', missed, now, id)
  redis.call('ZREMRANGEBYRANK', missed, 0, -101)
  redis.call('EXPIRE', missed, ARGV[19])
end
redis.call('PUBLISH', P .. 'ch:status', left)
-- A few at a time: after the limit was lowered, the rest goes with the next jobs.
local over = math.min(redis.call('ZCARD', P .. 'history') - tonumber(ARGV[17]), 10)
if over > 0 then
  for _, old in ipairs(redis.call('ZRANGE', P .. 'history', 0, over - 1)) do
    redis.call('ZREM', P .. 'history', old)
    local gone = redis.call('HMGET', P .. 'job:' .. id_of(old), 'state', 'workflow')
    forget(id_of(old), old, gone[1] or 'success', gone[2])
  end
end
return { 1, needs_permit }
`;

/**
 * Puts a running job back among the pending, in its old place: its worker is stopping, or its permit is
 * gone. A handed-back run does not count as an attempt; a lost one does.
 *
 * ARGV: prefix, id, permit, attempt, count the attempt (0|1)
 * Returns: 1 when a permit must be added, else 0
 */
export const HAND_BACK_LUA = `
${COMMON_LUA}
${OWNED_LUA}
local id, permit = ARGV[2], ARGV[3]
local job = owned(id, permit, ARGV[4])
if not job then return 0 end
local m, tenant, lane, created, number = job[4], job[5], job[6], job[7], job[9]
if ARGV[5] == '0' then redis.call('HINCRBY', P .. 'job:' .. id, 'attempt', -1) end
redis.call('HDEL', P .. 'job:' .. id, 'permit', 'worker')
redis.call('HDEL', P .. 'permits', permit)
redis.call('ZREM', P .. 'running', id)
redis.call('ZADD', P .. 'pending', number, m)
change_state(id, m, 'running', 'pending', created, 0)
if lane ~= '' then redis.call('HDEL', P .. 'lanes', lane) end
local needs_permit = make_available(tenant, lane, m, number)
tell_status()
return needs_permit
`;
