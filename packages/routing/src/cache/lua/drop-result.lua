-- Drops a value that proved useless; one that was stored in its place meanwhile stays.
--
-- ARGV[1] prefix
-- ARGV[2] hash    of the request
-- ARGV[3] value
-- Returns nothing
-- Sent again: nothing is left to drop.

-- @include results

if value_of(hash) == value then drop(hash) end
