import { COMMON_LUA } from './common.ts';

/**
 * Accepts a prompt: writes the record and puts it among the pending, in one step.
 *
 * ARGV: prefix, id, body hash, now ms, number ('' = count), front (0|1), tenant, client ('n' | 'y'..id),
 *       serial (0|1), max pending, workflow id, prompt, extra_data, outputs, node_errors, sealed secrets
 * Returns: {'ok', number, remaining} | {'same', number, node_errors} | {'conflict'} | {'full', pending}
 */
export const ENQUEUE_LUA = `
${COMMON_LUA}
local id, hash, now, tenant, client = ARGV[2], ARGV[3], ARGV[4], ARGV[7], ARGV[8]
local key = P .. 'job:' .. id
local known = redis.call('HMGET', key, 'hash', 'number', 'node_errors')
if known[1] then
  if known[1] == hash then return { 'same', known[2], known[3] } end
  return { 'conflict' }
end
local pending = redis.call('ZCARD', P .. 'pending')
if pending >= tonumber(ARGV[10]) then return { 'full', pending } end
local number = ARGV[5]
if number == '' then
  number = redis.call('INCR', P .. 'number') - 1
  if ARGV[6] == '1' then number = -number end
  number = string.format('%d', number)
end
local m = string.format('%016d:', redis.call('INCR', P .. 'seq')) .. id
local lane = ''
if ARGV[9] == '1' and #client > 1 then lane = tenant .. '\\n' .. string.sub(client, 2) end
redis.call('HSET', key, 'id', id, 'm', m, 'state', 'pending', 'hash', hash, 'number', number,
  'created', now, 'tenant', tenant, 'client', client, 'lane', lane, 'attempt', 0, 'workflow', ARGV[11],
  'prompt', ARGV[12], 'extra', ARGV[13], 'targets', ARGV[14], 'node_errors', ARGV[15])
if ARGV[16] ~= '' then redis.call('SET', P .. 'secrets:' .. id, ARGV[16]) end
redis.call('ZADD', P .. 'pending', number, m)
redis.call('ZADD', P .. 'unreleased', now, id)
redis.call('ZADD', P .. 'created:pending', now, m)
redis.call('ZADD', P .. 'duration:pending', 0, m)
if ARGV[11] ~= '' then redis.call('ZADD', P .. 'workflow:' .. ARGV[11], now, m) end
tell_status()
return { 'ok', number, remaining() }
`;

/**
 * Lets a pending job be taken, once its answer has been flushed to the caller.
 *
 * ARGV: prefix, id. Returns: 1 when a permit must be added, else 0.
 */
export const RELEASE_LUA = `
${COMMON_LUA}
local id = ARGV[2]
if redis.call('ZREM', P .. 'unreleased', id) == 0 then return 0 end
local job = redis.call('HMGET', P .. 'job:' .. id, 'm', 'tenant', 'lane', 'number')
if not job[1] then return 0 end
return make_available(job[2], job[3], job[1], job[4])
`;
