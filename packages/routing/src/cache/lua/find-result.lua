-- The value of a stored result, which counts as used now.
--
-- ARGV[1] prefix
-- ARGV[2] hash    of the request
-- Returns the value, or nil
-- Sent again: it counts as used once more.

-- @include now
-- @include results

local value = value_of(hash)
if value and expiry_of(hash) > now then
  touch(hash)
  return value
end
drop(hash)
return nil
