-- The profiles of the workers that are up, or were not long ago.
--
-- ARGV[1] prefix
-- ARGV[2] ttl_ms    who has been silent for longer is not up
-- ARGV[3] known_ms  for so long a worker that is gone may come back
-- Returns {profile, 1 when such a worker is up else 0, 1 when it is drained else 0, catalogue} of each known worker, one after the other
-- Sent again: it only reads.

-- @include now
-- @keys fleet

local reply = {}
local known = redis.call('HGETALL', fleet_key)
for i = 1, #known, 2 do
  local spoke, is_up, is_drained, profile, catalogue =
    string.match(known[i + 1], '^(%d+) ([01]) ([01]) (%S+) (%S+)$')
  local silence = now - (spoke or 0)
  if silence <= tonumber(known_ms) then
    reply[#reply + 1] = profile
    reply[#reply + 1] = is_up == '1' and silence <= tonumber(ttl_ms) and 1 or 0
    reply[#reply + 1] = tonumber(is_drained)
    reply[#reply + 1] = catalogue
  end
end
return reply
