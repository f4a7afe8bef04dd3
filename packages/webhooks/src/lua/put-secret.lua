-- Writes a signing secret, unless the tenant has too many or, with mode `new`, it is there.
--
-- KEYS[1] key    of the tenant's secrets
-- ARGV[1] name
-- ARGV[2] value  sealed
-- ARGV[3] mode   new | any
-- ARGV[4] most   of one tenant
-- Returns 'ok' or 'full'
-- Sent again: 'ok', with the same value.

local is_known = redis.call('HEXISTS', key, name) == 1
if is_known and mode == 'new' then return 'ok' end
if not is_known and redis.call('HLEN', key) >= tonumber(most) then return 'full' end
redis.call('HSET', key, name, value)
return 'ok'
