import { LuaScript } from '@tiercel/runtime';

/**
 * All scripts take as ARGV: prefix, key of an entry without its hash, index by last use, index by
 * expiry, sizes, hash; then their own.
 *
 * Last use is a number that counts up, not a time: clocks of workers differ, and uses within one
 * millisecond have an order too. Redis drops an entry by itself when it is too old; its
 * bookkeeping goes with the next script that meets it. When nothing is left in the index the
 * bookkeeping starts afresh, so a lost key makes the sums wrong for a while only.
 */
const COMMON_LUA = `
local ENTRY, BY_USE, BY_EXPIRY, SIZES, HASH = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local function drop(hash)
  redis.call('DEL', ENTRY .. hash)
  redis.call('ZREM', BY_USE, hash)
  redis.call('ZREM', BY_EXPIRY, hash)
  local size = redis.call('HGET', SIZES, hash)
  if size then
    redis.call('HDEL', SIZES, hash)
    redis.call('HINCRBY', SIZES, '#bytes', -tonumber(size))
  end
  if redis.call('ZCARD', BY_USE) == 0 then redis.call('DEL', BY_EXPIRY, SIZES) end
end
local function touch(hash)
  redis.call('ZADD', BY_USE, redis.call('HINCRBY', SIZES, '#uses', 1), hash)
end
-- nil for an absent entry and for a key of another type.
local function value_of(hash)
  local value = redis.pcall('GET', ENTRY .. hash)
  if type(value) == 'string' then return value end
  return nil
end
local function expiry_of(hash)
  return tonumber(redis.call('ZSCORE', BY_EXPIRY, hash) or 0)
end
`;

/** ARGV 7: now ms. Returns: the value, which counts as used now; nil when there is none */
export const findScript = new LuaScript(`${COMMON_LUA}
local value = value_of(HASH)
if value and expiry_of(HASH) > tonumber(ARGV[7]) then
  touch(HASH)
  return value
end
drop(HASH)
return nil
`);

/** Expired entries that one store clears away, at most. */
const SWEEP_LIMIT = 1000;

/**
 * ARGV 7: value, bytes, now ms, life ms, most bytes
 * Returns: 1, or 0 when it is larger than the whole cache or a result with a longer life is there
 */
export const storeScript = new LuaScript(`${COMMON_LUA}
local value, bytes, now, life, most = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
for _, hash in ipairs(redis.call('ZRANGEBYSCORE', BY_EXPIRY, '-inf', now, 'LIMIT', 0, ${SWEEP_LIMIT})) do
  drop(hash)
end
if bytes > most or life <= 0 then return 0 end
if value_of(HASH) and expiry_of(HASH) > now + life then return 0 end
drop(HASH)
redis.call('SET', ENTRY .. HASH, value, 'PX', life)
redis.call('ZADD', BY_EXPIRY, now + life, HASH)
redis.call('HSET', SIZES, HASH, bytes)
redis.call('HINCRBY', SIZES, '#bytes', bytes)
touch(HASH)
while tonumber(redis.call('HGET', SIZES, '#bytes') or 0) > most do
  drop(redis.call('ZRANGE', BY_USE, 0, 0)[1])
end
return redis.call('EXISTS', ENTRY .. HASH)
`);

/** ARGV 7: a value that proved useless; one that was stored in its place meanwhile stays. */
export const dropScript = new LuaScript(`${COMMON_LUA}
if value_of(HASH) == ARGV[7] then drop(HASH) end
`);
