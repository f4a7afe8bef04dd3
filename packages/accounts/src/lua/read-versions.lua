-- Reads what every process asks all the time: whether anything has changed that it does not know of.
--
-- ARGV[1] prefix
-- Returns { Redis' clock in ms, version of the keys, version of the policies }
-- Sent again: it only reads.

-- @include now
-- @keys api_keys_version policy_version

return { now, redis.call('GET', api_keys_version_key) or '0', redis.call('GET', policy_version_key) or '0' }
