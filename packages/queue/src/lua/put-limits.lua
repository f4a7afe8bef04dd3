-- Changes what a tenant may, for what waits already too.
--
-- ARGV[1] prefix
-- ARGV[2] tenant
-- ARGV[3] limits  JSON: fields of the tenant's record
-- Returns as wake() tells
-- Sent again: the record is the same by then, and who is to be woken follows from the facts.
-- Caller dies: all is done but the waking; the sweeper adds missing permits.

-- @include fair-share
-- @include limits
-- @include tenant-record
-- @include wake

put_limits(tenant, limits)
settle(tenant, limits_of(tenant))
return { wake() }
