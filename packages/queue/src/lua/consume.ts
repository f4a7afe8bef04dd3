import { EMIT_LUA } from '@tiercel/contracts';
import { COMMON_LUA } from './common.ts';

/**
 * take(permit, worker, now, again) gives a permit its job: the one it was given before (the permit was
 * redelivered because its worker died), else the first ready job of the tenant whose turn it is by
 * weighted fair share. A permit whose job has ended may ask for another one (again); it gets nothing
 * when it was redelivered meanwhile. Taking changes no count, so no `status` is told.
 *
 * Returns: nil
 *        | {id, prompt, extra, targets, client, number, tenant, created, attempt, cancel, secrets, note}
 */
const TAKE_FUNCTION_LUA = `
local function next_ready()
  while true do
    -- The turn is the tenant's with the least virtual time; alone, a tenant needs no accounts.
    local turn = redis.call('ZRANGE', P .. 'tenants', 0, 1, 'WITHSCORES')
    local tenant = turn[1]
    if not tenant then return nil end
    local m = redis.call('ZPOPMIN', P .. 'ready:' .. tenant)[1]
    if m and turn[3] then
      local weight = tonumber(redis.call('HGET', P .. 'weights', tenant) or 1)
      redis.call('SET', P .. 'vtime', turn[2])
      redis.call('ZINCRBY', P .. 'tenants', 1 / weight, tenant)
    end
    if redis.call('ZCARD', P .. 'ready:' .. tenant) == 0 then redis.call('ZREM', P .. 'tenants', tenant) end
    if m then return m end
  end
end
local function give(id, job, permit, worker, now)
  local attempt = tonumber(job[9]) + 1
  redis.call('HSET', P .. 'job:' .. id, 'state', 'running', 'attempt', attempt, 'permit', permit,
    'worker', worker, 'taken', now)
  redis.call('ZADD', P .. 'running', now, id)
  return { id, job[2], job[3], job[4], job[5], job[6], job[7], job[8], attempt, job[10], job[11], job[14] }
end
local function read(id)
  return redis.call('HMGET', P .. 'job:' .. id, 'state', 'prompt', 'extra', 'targets', 'client', 'number',
    'tenant', 'created', 'attempt', 'cancel', 'secrets', 'lane', 'permit', 'note')
end
local function take(permit, worker, now, again)
  local given = redis.call('HGET', P .. 'permits', permit)
  if given then
    if again then return nil end
    local job = read(given)
    if job[1] == 'running' and job[13] == permit then return give(given, job, permit, worker, now) end
  end
  local m = next_ready()
  if not m then return nil end
  local id = id_of(m)
  local job = read(id)
  redis.call('ZREM', P .. 'pending', m)
  if job[12] ~= '' then
    redis.call('ZREM', P .. 'lane:' .. job[12], m)
    redis.call('HSET', P .. 'lanes', job[12], id)
  end
  redis.call('ZREM', P .. 'created:pending', m)
  redis.call('ZADD', P .. 'created:running', job[8], m)
  redis.call('HSET', P .. 'permits', permit, id)
  return give(id, job, permit, worker, now)
end
`;

/** A permit was delivered. ARGV: prefix, permit, worker, now ms. Returns: what take returns. */
export const TAKE_LUA = `
${COMMON_LUA}
${TAKE_FUNCTION_LUA}
return take(ARGV[2], ARGV[3], ARGV[4], false)
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
 * announced: terminal event, `status`, `executing {node: null}`. The same step hands out the next job.
 *
 * ARGV: prefix, id, permit, attempt, now ms, outcome, started ms, ended ms, outputs, messages, meta,
 *       report, outputs count, preview output, error, terminal frame, executing-null frame,
 *       events per job, events ttl s, worker, take another (0|1)
 * Returns: {0} when the job is no longer this attempt's
 *        | {1, a successor in its lane became ready (0|1), next job as take returns it}
 */
export const FINISH_LUA = `
${COMMON_LUA}
${EMIT_LUA}
${OWNED_LUA}
${TAKE_FUNCTION_LUA}
local id, permit, now, outcome, ended = ARGV[2], ARGV[3], ARGV[5], ARGV[6], ARGV[8]
local job = owned(id, permit, ARGV[4])
if not job then return { 0 } end
local m, tenant, lane, created, client = job[4], job[5], job[6], job[7], job[8]
redis.call('HSET', P .. 'job:' .. id, 'state', outcome, 'ended', ended, 'started', ARGV[7], 'outputs', ARGV[9],
  'messages', ARGV[10], 'meta', ARGV[11], 'report', ARGV[12], 'outputs_count', ARGV[13],
  'preview_output', ARGV[14], 'error', ARGV[15], 'secrets', '')
redis.call('HDEL', P .. 'permits', permit)
redis.call('ZREM', P .. 'running', id)
redis.call('ZREM', P .. 'created:running', m)
redis.call('ZADD', P .. 'created:' .. outcome, created, m)
redis.call('ZADD', P .. 'duration:' .. outcome, tonumber(ended) - tonumber(ARGV[7]), m)
redis.call('ZADD', P .. 'history', ended, m)
local unlocked = free_lane(tenant, lane)
local left = tell_status()
local interrupted = outcome == 'interrupted' and 1 or 0
emit(ARGV[1], id, 'T', client, ARGV[18], {
  { ARGV[16], 1, interrupted },
  { '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":' .. left .. '}}}}', 0, 0 },
  { ARGV[17], 1, 0 },
})
redis.call('EXPIRE', P .. 'events:' .. id, ARGV[19])
if #client > 1 then
  local missed = P .. 'missed:' .. string.sub(client, 2)
  redis.call('ZADD', missed, now, id)
  redis.call('ZREMRANGEBYRANK', missed, 0, -101)
  redis.call('EXPIRE', missed, ARGV[19])
end
if ARGV[21] == '0' then return { 1, unlocked } end
return { 1, unlocked, take(permit, ARGV[20], now, true) or nil }
`;

/**
 * Notes on the record where the work is done, so that the next attempt can go on with it.
 * ARGV: prefix, id, permit, attempt, note. Returns: 1, or 0 when the job is no longer this attempt's.
 */
export const REMEMBER_LUA = `
${COMMON_LUA}
${OWNED_LUA}
if not owned(ARGV[2], ARGV[3], ARGV[4]) then return 0 end
redis.call('HSET', P .. 'job:' .. ARGV[2], 'note', ARGV[5])
return 1
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
redis.call('HSET', P .. 'job:' .. id, 'state', 'pending')
redis.call('ZREM', P .. 'created:running', m)
redis.call('ZADD', P .. 'created:pending', created, m)
tell_status()
if lane == '' then return make_available(tenant, lane, m, number) end
-- While it ran nothing of its lane was ready: whoever is first there now becomes it.
redis.call('ZADD', P .. 'lane:' .. lane, number, m)
return free_lane(tenant, lane)
`;
