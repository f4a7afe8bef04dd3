-- What time it is by Redis' own clock, in microseconds: the only clock that all machines share.

local function clock_us()
  local at = redis.call('TIME')
  return at[1] * 1000000 + at[2]
end
