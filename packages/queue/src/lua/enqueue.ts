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
  'prompt', ARGV[12], 'extra', ARGV[13], 'targets', ARGV[14], 'node_errors', ARGV[15], 'secrets', ARGV[16])
redis.call('ZADD', P .. 'pending', number, m)
redis.call('ZADD', P .. 'unreleased', now, id)
redis.call('ZADD', P .. 'created:pending', now, m)
if ARGV[11] ~= '' then redis.call('ZADD', P .. 'workflow:' .. ARGV[11], now, m) end
return { 'ok', number, tell_status() }
`;

/**
 * Lets pending jobs be taken, once their answers have been flushed to the callers.
 *
 * ARGV: prefix, most permits that may wait, id...
 * Returns: how many permits must be added (reads, never writes, BullMQ's list of waiting ones)
 */
export const RELEASE_LUA = `
${COMMON_LUA}
local ready = 0
for i = 3, #ARGV do
  if redis.call('ZREM', P .. 'unreleased', ARGV[i]) == 1 then
    local job = redis.call('HMGET', P .. 'job:' .. ARGV[i], 'm', 'tenant', 'lane', 'number')
    if job[1] then ready = ready + make_available(job[2], job[3], job[1], job[4]) end
  end
end
return math.max(0, math.min(ready, tonumber(ARGV[2]) - redis.call('LLEN', P .. 'bull:permits:wait')))
`;
