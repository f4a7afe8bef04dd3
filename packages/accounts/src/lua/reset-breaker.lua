-- Closes the breaker of a tier: what packages/routing remembers of its failures is gone.
--
-- ARGV[1] prefix
-- ARGV[2] tier       its name
-- ARGV[3] who
-- ARGV[4] from
-- ARGV[5] audit_max
-- Returns nothing
-- Sent again: it is closed already; written down twice.

-- @include audit
-- @keys tier

local key = tier_key(tier)
local failures, open_until, reason = unpack(redis.call('HMGET', key, 'failures', 'open_until', 'reason'))
redis.call('HDEL', key, 'failures', 'trips', 'open_until', 'reason', 'probe')
audit('tiers.reset_breaker', tier, cjson.encode({
  failures = tonumber(failures or 0), openUntil = tonumber(open_until or 0), reason = reason or '',
}), '')
