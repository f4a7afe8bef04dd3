-- Makes an API key. With `replaces` it takes the place of an earlier one, which ends.
--
-- ARGV[1] prefix
-- ARGV[2] hash         of the key's text
-- ARGV[3] id
-- ARGV[4] name
-- ARGV[5] tenant
-- ARGV[6] plan
-- ARGV[7] role
-- ARGV[8] expires_at   in ms, or '' for never
-- ARGV[9] only_first   '1': only when there is no key yet
-- ARGV[10] replaces    id of the key that ends, or ''
-- ARGV[11] grace_ms    how long that one is still good
-- ARGV[12] kept_ms     how long an ended key is on record
-- ARGV[13] after       the audit's words, JSON
-- ARGV[14] who
-- ARGV[15] from
-- ARGV[16] audit_max
-- Returns when it was made (ms); 0: there is a key already; -1: the one to replace is unknown, -2: it has ended
-- Sent again: the same answer; its hash is there, so nothing changes.
-- Caller dies: the key is there, and nobody knows its text; it is listed, and can be revoked.

-- @include now
-- @include audit
-- @include keys-changed
-- @keys api_key api_keys

local key = api_key_key(hash)
local made = redis.call('HGET', key, 'created_at')
if made then return tonumber(made) end
if only_first == '1' and redis.call('HLEN', api_keys_key) > 0 then return 0 end

local before = ''
if replaces ~= '' then
  local old_hash = redis.call('HGET', api_keys_key, replaces)
  if not old_hash then return -1 end
  local old = api_key_key(old_hash)
  if redis.call('EXISTS', old) == 0 then return -1 end
  local old_expires = tonumber(redis.call('HGET', old, 'expires_at') or '') or math.huge
  if redis.call('HEXISTS', old, 'revoked_at') == 1 or old_expires <= now then return -2 end
  local ends = now
  if tonumber(grace_ms) > 0 then
    ends = math.min(old_expires, now + grace_ms)
    redis.call('HSET', old, 'expires_at', ends)
  else
    redis.call('HSET', old, 'revoked_at', now)
  end
  redis.call('PEXPIREAT', old, ends + kept_ms)
  before = cjson.encode({ id = replaces })
end

redis.call('HSET', key, 'id', id, 'name', name, 'tenant', tenant, 'plan', plan, 'role', role, 'created_at', now)
if expires_at ~= '' then
  redis.call('HSET', key, 'expires_at', expires_at)
  redis.call('PEXPIREAT', key, expires_at + kept_ms)
end
redis.call('HSET', api_keys_key, id, hash)
audit(before == '' and 'key.create' or 'key.rotate', id, before, after)
keys_changed()
return now
