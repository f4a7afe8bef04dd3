-- Ends an API key at once.
--
-- ARGV[1] prefix
-- ARGV[2] id
-- ARGV[3] kept_ms     how long an ended key is on record
-- ARGV[4] who
-- ARGV[5] from
-- ARGV[6] audit_max
-- Returns 1, or 0 when there is no such key
-- Sent again: the same answer; a key that is revoked stays as it is.

-- @include now
-- @include audit
-- @include keys-changed
-- @keys api_key api_keys

local hash = redis.call('HGET', api_keys_key, id)
if not hash then return 0 end
local key = api_key_key(hash)
if redis.call('EXISTS', key) == 0 then
  redis.call('HDEL', api_keys_key, id)
  return 0
end
if redis.call('HSETNX', key, 'revoked_at', now) == 0 then return 1 end
redis.call('PEXPIREAT', key, now + kept_ms)
audit('key.revoke', id, '', '')
keys_changed()
return 1
