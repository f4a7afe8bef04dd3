-- Sets what an administrator says of one thing, or takes it back; every process is told.
--
-- KEYS[1] set          what is set, of this kind
-- ARGV[1] prefix
-- ARGV[2] kind
-- ARGV[3] name
-- ARGV[4] value        JSON; '' takes it back
-- ARGV[5] who
-- ARGV[6] from
-- ARGV[7] audit_max
-- Returns the version that holds it
-- Sent again: the present version; what is set already is no change, and not audited.

-- @include now
-- @include audit
-- @keys policy_version accounts_channel

local before = redis.call('HGET', set, name) or ''
if before == value then return redis.call('GET', policy_version_key) or '0' end
if value == '' then redis.call('HDEL', set, name) else redis.call('HSET', set, name, value) end
audit(kind .. (value == '' and '.reset' or '.set'), name, before, value)
local version = redis.call('INCR', policy_version_key)
redis.call('PUBLISH', accounts_channel, 'policy')
return tostring(version)
